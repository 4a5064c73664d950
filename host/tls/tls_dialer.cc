#include "host/tls/tls_dialer.h"

namespace nsrun {
namespace {}  // namespace

Task<Result<std::unique_ptr<Connection>>> TlsDialer::dial(const Target& target) {
  if (target.protocol != Protocol::tcp)
    co_return Error{"TLS cannot carry " + target.to_string(), errno_code(EPROTONOSUPPORT)};
  auto connection = co_await inner_->dial(target);
  if (!connection) co_return connection.error();
  auto server = server_;
  if (server.empty()) server = target.host();
  auto secured = co_await tls_connect(std::move(*connection), *context_, std::move(server));
  if (!secured) {
    Error error = secured.error();
    error.doing = "cannot speak TLS with " + target.to_string() + ": " + error.doing;
    if (error.code.value() == EACCES) error.advice = "say whom to trust: ?ca=FILE behind its URL";
    co_return error;
  }
  co_return std::move(*secured);
}

}  // namespace nsrun
