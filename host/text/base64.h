#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nsrun {

std::string base64_encode(std::string_view bytes);                // RFC 4648 4, padded, on one line
std::optional<std::string> base64_decode(std::string_view text);  // as base64_encode() writes it
void base64_append(std::string& to, std::string_view bytes);      // likewise, behind what is there

}  // namespace nsrun
