#include "tests/support/dialers_far_side.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "host/flow/socket_connection.h"

namespace nsrun::test {
namespace {

constexpr int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

[[noreturn]] void fail(const char* doing) { throw ErrorException(errno_error(doing)); }

SocketAddress unix_address(const std::string& path) {
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  un->sun_family = AF_UNIX;
  std::strncpy(un->sun_path, path.c_str(), sizeof un->sun_path - 1);
  address.length = sizeof *un;
  return address;
}

UniqueFd bound(const SocketAddress& address, int type) {
  UniqueFd socket(::socket(address.family(), type | flags, 0));
  if (!socket || ::bind(socket.get(), address.get(), address.length) < 0) fail("bind");
  return socket;
}

UniqueFd listening(UniqueFd socket, int backlog) {
  if (::listen(socket.get(), backlog) < 0) fail("listen");
  return socket;
}

Task<> accept_for_ever(Loop& loop, UniqueFd listener, Behaviour behaviour) {
  Descriptor descriptor(loop.executor(), listener.release());
  while (true) {
    co_await descriptor.async_wait(Descriptor::wait_read, use_task);
    UniqueFd socket(::accept4(descriptor.native_handle(), nullptr, nullptr, flags));
    if (!socket) continue;
    loop.beside.spawn(behaviour(std::make_unique<SocketConnection>(loop.executor(), std::move(socket))));
  }
}

Task<> serve_first_peer(Loop& loop, UniqueFd socket, Behaviour behaviour) {
  Descriptor descriptor(loop.executor(), socket.release());
  co_await descriptor.async_wait(Descriptor::wait_read, use_task);
  socket.reset(descriptor.release());
  SocketAddress peer;
  ::recvfrom(socket.get(), nullptr, 0, MSG_PEEK, peer.get(), &peer.length);
  if (::connect(socket.get(), peer.get(), peer.length) < 0) fail("connect to the first peer");
  co_await behaviour(
      std::make_unique<SocketConnection>(loop.executor(), std::move(socket), Transport::datagram));
}

Task<> pump(Connection& from, Connection& to) {
  std::vector<std::byte> buffer(65536);
  while (true) {
    const auto chunk = co_await from.read(buffer);
    if (!chunk) co_return to.reset();
    if (chunk->end) co_return to.finish();
    const auto written = co_await to.write(Bytes(buffer).first(chunk->size));
    if (!written) co_return from.reset();
  }
}

}  // namespace

const IpAddress loopback4 = IpAddress::v4(127, 0, 0, 1);
const IpAddress loopback6 = *IpAddress::parse("::1");

Task<> echo(std::unique_ptr<Connection> connection) { co_await pump(*connection, *connection); }

Task<> splice(Connection& one, Connection& other) { co_await both(pump(one, other), pump(other, one)); }

Task<std::string> read_all(Connection& from) {
  std::vector<std::byte> buffer(65536);
  std::string all;
  while (true) {
    const auto chunk = (co_await from.read(buffer)).value();
    if (chunk.end) co_return all;
    all += as_text(Bytes(buffer).first(chunk.size));
  }
}

Task<> trickle(Connection& to, std::string bytes) {
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    co_await sleep_for(trickle_pause);
    if (!co_await to.write(as_bytes(bytes).subspan(at, 1))) co_return;
  }
}

Task<> write_all(Connection& to, std::string bytes) { (co_await to.write(as_bytes(bytes))).value(); }

UniqueFd listening_socket(const IpAddress& address, int backlog) {
  return listening(bound_socket(address, SOCK_STREAM), backlog);
}
UniqueFd listening_socket(const std::string& unix_path, int backlog) {
  return listening(bound_socket(unix_path), backlog);
}
UniqueFd bound_socket(const IpAddress& address, int type) { return bound(SocketAddress({address, 0}), type); }
UniqueFd bound_socket(const std::string& unix_path) { return bound(unix_address(unix_path), SOCK_STREAM); }

Endpoint bound_endpoint(int socket) {
  SocketAddress address;
  if (::getsockname(socket, address.get(), &address.length) < 0) fail("getsockname");
  return address.endpoint();
}

void serve_stream(Loop& loop, UniqueFd listener, Behaviour behaviour) {
  loop.beside.spawn(accept_for_ever(loop, std::move(listener), std::move(behaviour)));
}

void serve_datagrams(Loop& loop, UniqueFd socket, Behaviour behaviour) {
  loop.beside.spawn(serve_first_peer(loop, std::move(socket), std::move(behaviour)));
}

std::vector<UniqueFd> fill_backlog(int listener) {
  SocketAddress address;
  if (::getsockname(listener, address.get(), &address.length) < 0) fail("getsockname");
  std::vector<UniqueFd> held;
  while (true) {
    UniqueFd socket(::socket(address.family(), SOCK_STREAM | flags, 0));
    const int connected = ::connect(socket.get(), address.get(), address.length);
    if (connected < 0 && errno == EAGAIN) return held;  // a unix socket's way of saying so
    // Loopback's handshake is over when connect returns: not writable means its SYN was dropped.
    pollfd waiting{socket.get(), POLLOUT, 0};
    const bool full = ::poll(&waiting, 1, 0) == 0;
    held.push_back(std::move(socket));
    if (full) return held;
  }
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace nsrun::test
