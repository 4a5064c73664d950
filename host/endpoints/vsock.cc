#include "host/endpoints/vsock.h"

#include <sys/socket.h>
// After sys/socket.h, whose sockaddr it needs.
#include <linux/vm_sockets.h>

#include <cstring>

#include "host/dialers/connect_socket.h"
#include "host/dialers/unix_dialer.h"
#include "host/flow/socket_connection.h"
#include "host/listen/bind.h"

namespace nsrun {
namespace {

constexpr std::size_t max_handshake_answer = 32;  // bytes: "OK 4294967295\n" and some

SocketAddress vsock_address(std::uint32_t cid, std::uint32_t port) {
  SocketAddress address;
  sockaddr_vm vm{};
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = cid;
  vm.svm_port = port;
  std::memcpy(&address.storage, &vm, sizeof vm);
  address.length = sizeof vm;
  return address;
}

std::string in_words(std::uint32_t cid, std::uint32_t port) {
  EndpointUrl url;
  url.kind = EndpointUrl::Kind::vsock;
  url.cid = cid;
  url.port = port;
  return url.to_string();
}

std::string advice_for(int error) {
  switch (error) {
    case EAFNOSUPPORT:
      return "this kernel has no vsock (modules vsock, and on a host vhost_vsock)";
    case EADDRINUSE:
      return "another program listens there; choose another port";
    case EACCES:
      return "ports below 1024 need privilege (CAP_NET_BIND_SERVICE)";
    case EADDRNOTAVAIL:
      return "that CID does not belong to this machine; any listens at all";
    default:
      return "";
  }
}

Task<Result<void>> shake_hands(Connection& monitor, std::uint32_t port, const std::string& path) {
  const Error refused{
      "the virtual machine at " + path + " takes no connection to port " + std::to_string(port),
      errno_code(ECONNREFUSED)};
  const std::string ask = "CONNECT " + std::to_string(port) + "\n";
  const auto asked = co_await monitor.write(std::as_bytes(std::span(ask)));
  if (!asked) co_return refused;
  std::string answer;
  while (!answer.ends_with('\n')) {
    // One at a time: what follows the line is the stream's.
    std::byte next;
    const auto chunk = co_await monitor.read({&next, 1});
    if (!chunk || chunk->end || answer.size() == max_handshake_answer) co_return refused;
    answer.push_back(static_cast<char>(next));
  }
  if (!answer.starts_with("OK ")) co_return refused;
  co_return Result<void>{};
}

}  // namespace

Result<UniqueFd> bind_vsock(std::uint32_t cid, std::uint32_t port) {
  const std::string doing = "cannot listen at " + in_words(cid, port);
  UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error(doing, advice_for(errno));
  const auto address = vsock_address(cid, port ? port : VMADDR_PORT_ANY);
  if (::bind(socket.get(), address.get(), address.length) == 0 && ::listen(socket.get(), listen_backlog) == 0)
    return socket;
  return errno_error(doing, advice_for(errno),
                     errno == EADDRINUSE ? ExitCode::port_in_use : ExitCode::failed);
}

std::uint32_t vsock_port_of(int socket) {
  sockaddr_vm vm{};
  socklen_t length = sizeof vm;
  return ::getsockname(socket, reinterpret_cast<sockaddr*>(&vm), &length) == 0 ? vm.svm_port : 0;
}

Task<Result<std::unique_ptr<Connection>>> VsockDialer::dial(const Target& target) {
  const std::string where = in_words(cid_, port_);
  if (target.protocol != Protocol::tcp)
    co_return Error{"cannot carry " + target.to_string() + " over " + where, errno_code(EPROTONOSUPPORT)};
  const auto doing = "cannot connect to " + where;
  UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) co_return errno_error(doing, advice_for(errno));
  auto connected = co_await connect_socket(executor_, std::move(socket), vsock_address(cid_, port_), doing);
  // vsock has no other word for a port that nobody listens at.
  if (!connected && connected.error().code.value() == ECONNRESET)
    co_return Error{doing, errno_code(ECONNREFUSED)};
  if (!connected) co_return connected.error();
  co_return std::make_unique<SocketConnection>(executor_, std::move(*connected));
}

Task<Result<std::unique_ptr<Connection>>> HybridVsockDialer::dial(const Target& target) {
  UnixDialer monitor(executor_, path_);
  auto connection = co_await monitor.dial(target);
  if (!connection) co_return connection.error();
  const auto agreed = co_await within(answer_limit, shake_hands(**connection, port_, path_));
  if (!agreed) co_return Error{"the virtual machine at " + path_ + " does not answer", errno_code(ETIMEDOUT)};
  if (!*agreed) co_return agreed->error();
  co_return std::move(*connection);
}

}  // namespace nsrun
