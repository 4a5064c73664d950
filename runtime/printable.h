#pragma once

#include <string>
#include <string_view>

namespace nsrun {

// Text that may have come from a guest or a network peer, as terminals and logs may show it: one line, UTF-8,
// with '?' for each control character (C0, DEL, C1: escape sequences), each character that changes the line's
// order or ends it (Unicode's bidirectional controls, U+2028, U+2029), and each byte that is not UTF-8.
std::string printable(std::string_view text);

}  // namespace nsrun
