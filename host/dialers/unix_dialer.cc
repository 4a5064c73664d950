#include "host/dialers/unix_dialer.h"

#include <sys/socket.h>

#include "host/dialers/connect_socket.h"
#include "host/flow/socket_connection.h"
#include "host/listen/unix_socket.h"

namespace nsrun {
namespace {

// A non-blocking connect to a unix socket whose backlog is full fails with EAGAIN, and no poll tells when
// there is room again.
constexpr auto full_backlog_retry = 20ms;
constexpr int full_backlog_attempts = 250;  // so 5 s, then ETIMEDOUT

}  // namespace

UnixDialer::UnixDialer(Executor executor, std::string path, Transport transport)
    : executor_(executor), path_(std::move(path)), transport_(transport) {}

Task<Result<std::unique_ptr<Connection>>> UnixDialer::dial(const Target& target) {
  const bool streams = transport_ == Transport::stream;
  if ((target.protocol == Protocol::tcp) != streams || target.protocol == Protocol::icmp)
    co_return Error{"cannot carry " + target.to_string() + " over the unix socket " + path_,
                    errno_code(EPROTONOSUPPORT)};
  const auto address = unix_address(path_, "the unix socket");
  if (!address) co_return address.error();
  const auto doing = "cannot connect to the unix socket " + path_;
  for (int attempt = 0; attempt < full_backlog_attempts; ++attempt) {
    UniqueFd socket(
        ::socket(AF_UNIX, (streams ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) co_return errno_error(doing);
    const sockaddr unnamed{.sa_family = AF_UNIX, .sa_data = {}};
    if (!streams && ::bind(socket.get(), &unnamed, sizeof unnamed.sa_family) < 0)
      co_return errno_error(doing);
    auto connected = co_await connect_socket(executor_, std::move(socket), *address, doing);
    if (connected) co_return std::make_unique<SocketConnection>(executor_, std::move(*connected), transport_);
    if (connected.error().code != errno_code(EAGAIN)) co_return connected.error();
    co_await sleep_for(full_backlog_retry);
  }
  co_return Error{doing, errno_code(ETIMEDOUT), "its owner accepts nothing"};
}

}  // namespace nsrun
