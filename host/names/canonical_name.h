#pragma once

#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nsrun {

// The one form in which a host name is compared, remembered and judged: lower case, without the trailing dot,
// international labels as their ASCII form (xn--..., RFC 5891 A-labels; they are not decoded). An error for
// what is no host name: empty labels, NUL, spaces, control characters, non-ASCII bytes, backslashes (escapes
// of a name that has no plain form), labels over 63 and names over 253 characters (RFC 1035 2.3.4).
Result<std::string> canonical_name(std::string_view text);

}  // namespace nsrun
