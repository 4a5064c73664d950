#include "host/dialers/unix_dialer.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "host/dialers/connect_socket.h"
#include "host/socket_connection.h"

namespace nsrun {
namespace {

// A non-blocking connect to a unix socket whose backlog is full fails with EAGAIN, and no poll tells when
// there is room again.
constexpr auto full_backlog_retry = 20ms;
constexpr int full_backlog_attempts = 250;  // so 5 s, then ETIMEDOUT

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof un->sun_path)
    return Error{"cannot connect to the unix socket '" + path + "'", errno_code(ENAMETOOLONG),
                 "its path must have 1 to 107 bytes", ExitCode::usage};
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

}  // namespace

UnixDialer::UnixDialer(Executor executor, std::string path) : executor_(executor), path_(std::move(path)) {}

Task<Result<std::unique_ptr<Connection>>> UnixDialer::dial(const Target& target) {
  if (target.protocol != Protocol::tcp)
    co_return Error{"cannot carry " + target.to_string() + " over the unix socket " + path_,
                    errno_code(EPROTONOSUPPORT)};
  const auto address = unix_address(path_);
  if (!address) co_return address.error();
  const auto doing = "cannot connect to the unix socket " + path_;
  for (int attempt = 0; attempt < full_backlog_attempts; ++attempt) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) co_return errno_error(doing);
    auto connected = co_await connect_socket(executor_, std::move(socket), *address, doing);
    if (connected) co_return std::make_unique<SocketConnection>(executor_, std::move(*connected));
    if (connected.error().code != errno_code(EAGAIN)) co_return connected.error();
    co_await sleep_for(full_backlog_retry);
  }
  co_return Error{doing, errno_code(ETIMEDOUT), "its owner accepts nothing"};
}

}  // namespace nsrun
