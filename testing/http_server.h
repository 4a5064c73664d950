#pragma once

#include <optional>

#include "runtime/connection.h"
#include "testing/http.h"

namespace nsrun::testing {

constexpr std::size_t max_http_body =
    64 * 1024 * 1024;  // bytes of a request's; then it is answered with 413

// HTTP/1.1 (and 1.0) on a connection, request by request, until either side ends it. `visited` is what each
// request has in common: host, port, tls. What the handler throws is thrown here.
Task<> serve_http(Connection& client, HttpRequest visited, HttpHandler handler);

// A response as it goes over the wire.
struct RawResponse {
  std::string bytes;
  bool keeps_open = true;
};
// `keeps_open`: the client would send more. Nothing: the connection is reset.
using RawHandler = std::function<std::optional<RawResponse>(const HttpRequest&, bool keeps_open)>;
Task<> serve_http_raw(Connection& client, HttpRequest visited, RawHandler handler);

}  // namespace nsrun::testing
