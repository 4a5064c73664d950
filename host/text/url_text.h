#pragma once

#include <string>
#include <string_view>

namespace nsrun {

// The part before "://"; empty where there is none.
std::string_view scheme_of(std::string_view url);
// The URL as it may be shown: without its user and password.
std::string without_password(std::string_view url);
// What no host, path or option of a URL may decode to.
bool has_control_character(std::string_view text);

}  // namespace nsrun
