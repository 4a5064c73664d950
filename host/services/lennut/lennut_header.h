#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/result.h"

// What a lennut server says to a client of its that has waited, before the bytes of the connection that it is
// to carry. The client says nothing before. Pure.

namespace nsrun::lennut {

constexpr std::string_view header = "lennet01";  // so spelled on the wire

// How many bytes of it are still to come after these, which are its first; more than those belong to the
// stream. An error: it is something else.
Result<std::size_t> missing(std::string_view so_far);

}  // namespace nsrun::lennut
