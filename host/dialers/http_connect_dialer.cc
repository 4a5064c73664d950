// The head is read in steps so small that none can reach past its end (bytes_to_read), so not one byte of the
// tunnel is taken and the inner connection can be given on as it is: some fifty short reads per dial, against
// a flow that would otherwise be off the fast path for its whole life.

#include "host/dialers/http_connect_dialer.h"

namespace nsrun {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

// One response's head; `left` is what remains of max_head.
Task<Result<http_connect::Response>> read_response(Connection& proxy, std::size_t& left) {
  std::string head;
  while (const auto step = http_connect::bytes_to_read(head)) {
    if (step > left) co_return Error{"its answer is too long", errno_code(EPROTO), "is it an HTTP proxy?"};
    left -= step;
    const auto size = head.size();
    head.resize(size + step);
    const auto into = std::as_writable_bytes(std::span(head)).subspan(size);
    if (auto read = co_await read_exactly(proxy, into); !read) co_return read.error();
  }
  co_return http_connect::parse_head(head);
}

Task<Result<void>> negotiate(Connection& proxy, std::string request) {
  if (auto sent = co_await proxy.write(as_bytes(request)); !sent) co_return sent;
  auto left = http_connect::max_head;
  while (true) {
    const auto response = co_await read_response(proxy, left);
    if (!response) co_return response.error();
    if (response->status < 200) continue;  // interim (RFC 9110 15.2): the answer is still to come
    if (response->status < 300) co_return Result<void>{};
    co_return http_connect::refusal(*response);
  }
}

}  // namespace

HttpConnectDialer::HttpConnectDialer(std::unique_ptr<Dialer> inner, Target proxy,
                                     std::optional<Credentials> credentials, Clock::duration limit)
    : inner_(std::move(inner)),
      proxy_(std::move(proxy)),
      credentials_(std::move(credentials)),
      limit_(limit) {}

Task<Dialled> HttpConnectDialer::dial(const Target& target) {
  if (target.protocol != Protocol::tcp)
    co_return Error{"HTTP CONNECT cannot carry " + target.to_string(), errno_code(EPROTONOSUPPORT)};
  const auto where = proxy_.to_string();
  const auto request = http_connect::request(target, credentials_);
  if (!request) co_return proxy_error(where, request.error());
  auto connection = co_await inner_->dial(proxy_);
  if (!connection) co_return proxy_unreachable(where, connection.error());
  const auto tunnel = co_await within(limit_, negotiate(**connection, *request));
  if (!tunnel) co_return proxy_timeout(where);
  if (!*tunnel) co_return proxy_error(where + " for " + target.to_string(), tunnel->error());
  co_return connection;
}

}  // namespace nsrun
