#include "host/dialers/http_connect.h"

#include <algorithm>

#include "host/text/base64.h"
#include "host/text/words.h"

namespace nsrun::http_connect {
namespace {

constexpr std::size_t max_status_reason = 128;  // characters, for the log

// What would end a line or a word of the request's head.
bool is_unsafe(char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; }

Error malformed() { return {"its answer is not HTTP/1", errno_code(EPROTO), "is it an HTTP proxy?"}; }

}  // namespace

Result<std::string> request(const Target& to, const std::optional<Credentials>& credentials) {
  const auto authority =
      to.name.empty() ? to.endpoint.to_string() : to.name + ":" + std::to_string(to.endpoint.port);
  if (std::any_of(authority.begin(), authority.end(), is_unsafe))
    return Error{"the name cannot stand in a CONNECT request", errno_code(EINVAL)};
  auto head = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (credentials) {
    if (credentials->user.find(':') != std::string::npos)
      return Error{"a user with a colon cannot log in by HTTP Basic (RFC 7617 2)", errno_code(EINVAL)};
    head += "Proxy-Authorization: Basic " + base64_encode(credentials->user + ":" + credentials->password) +
            "\r\n";
  }
  return {boost::system::in_place_value, head + "\r\n"};
}

std::size_t bytes_to_read(std::string_view so_far) {
  constexpr std::string_view shortest = "HTTP/1.1 200\n\n";
  if (so_far.size() < shortest.size()) return shortest.size() - so_far.size();
  // A line may end with a bare LF (RFC 9112 2.2), so the last two bytes can be LF LF.
  if (so_far.ends_with("\n\n") || so_far.ends_with("\n\r\n")) return 0;
  if (so_far.ends_with("\n") || so_far.ends_with("\n\r")) return 1;
  return 2;
}

Result<Response> parse_head(std::string_view head) {
  constexpr std::string_view prefix = "HTTP/1.";
  auto line = head.substr(0, head.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const bool fits = line.starts_with(prefix) && line.size() >= 12 && is_digit(line[7]) && line[8] == ' ' &&
                    line[9] >= '1' && line[9] <= '5' && is_digit(line[10]) && is_digit(line[11]) &&
                    (line.size() == 12 || line[12] == ' ');
  if (!fits) return malformed();
  Response response;
  response.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (line.size() > 13) response.reason = line.substr(13, max_status_reason);
  std::erase_if(response.reason, [](char c) { return c < ' ' || c > '~'; });
  return response;
}

Error refusal(const Response& response) {
  Error error{"it answers " + std::to_string(response.status) + " " + response.reason,
              errno_code(ECONNREFUSED)};
  switch (response.status) {
    case 401:
    case 407:
      error.advice = "are the user and password right?";
      [[fallthrough]];
    case 403:
      error.code = errno_code(EACCES);
      break;
    case 502:
    case 503:
      error.code = errno_code(EHOSTUNREACH);
      break;
    case 504:
      error.code = errno_code(ETIMEDOUT);
      break;
  }
  return error;
}

}  // namespace nsrun::http_connect
