#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/dialers/proxy.h"

// The client's side of HTTP CONNECT (RFC 9110 9.3.6, RFC 9112): bytes in, values out, no I/O.

namespace nsrun::http_connect {

constexpr std::size_t max_head = 16 * 1024;  // bytes of a response's head, interim responses included

// The request for a tunnel to a tcp target.
Result<std::string> request(const Target& to, const std::optional<Credentials>& credentials);

// How many bytes may be read next without reading past the head's end: its empty line's end is at least that
// far away. 0: `so_far` ends with a whole head.
std::size_t bytes_to_read(std::string_view so_far);

struct Response {
  int status = 0;      // 100-599
  std::string reason;  // printable characters only
};
Result<Response> parse_head(std::string_view head);

// A final status that is not 2xx, in the words a direct connect would have used.
Error refusal(const Response& response);

}  // namespace nsrun::http_connect
