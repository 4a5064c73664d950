#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsrun::testing {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// The first header of this name, in whatever case it is written; empty: there is none.
std::string_view find_header(const HttpHeaders& headers, std::string_view name);

// A request over HTTP/1.1, as a handler sees it.
struct HttpRequest {
  std::string method = {};  // "GET"
  std::string target = {};  // "/path?query", as on the wire
  std::string host = {};    // the name, or address, that the program connected to: not the Host header
  std::uint16_t port = 0;
  bool tls = false;
  HttpHeaders headers = {};
  std::string body = {};  // decoded, where it came in chunks

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
};

// Content-Length, and Connection where it is needed, are added.
struct HttpResponse {
  unsigned status = 200;
  std::string body = {};
  HttpHeaders headers = {};
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace nsrun::testing
