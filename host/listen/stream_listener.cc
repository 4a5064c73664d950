#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/listen/listener.h"
#include "host/socket_connection.h"

namespace nsrun {
namespace {

constexpr auto pause_without_descriptors = 100ms;  // accept(2) fails at once as long as none is free
// Kept free: a client that was accepted needs one more, a socket made inside, and those come several at once.
// Were all taken by clients, none of them would be served, until each has waited in vain.
constexpr int descriptors_kept = 16;
constexpr int clients_before_yield = 64;

// Of descriptors, which are given out lowest first: from here on they are scarce.
int scarce_from() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto most = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
  return most - std::min(descriptors_kept, most / 4);
}

// Whether they still are; `socket` is any.
bool are_scarce(int socket) {
  const UniqueFd lowest(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (lowest && lowest.get() < scarce_from()) return false;
  errno = EMFILE;
  return true;
}

void tune(int socket, const IpAddress& client) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // A kernel that paces by default (bbr) would halve what loopback can do.
  if (client.is_loopback()) ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

Error cannot_accept(const std::string& place) {
  const bool out_of_files = errno == EMFILE || errno == ENFILE;
  return errno_error("cannot take clients of " + place, out_of_files
                                                            ? "raise the limit of open files (ulimit -n)"
                                                            : "this machine is out of memory");
}

std::optional<std::uint32_t> cid_of(const SocketAddress& address) {
  if (address.family() != AF_VSOCK) return std::nullopt;
  return reinterpret_cast<const sockaddr_vm&>(address.storage).svm_cid;
}

SharedText name_of(const SocketAddress& address, int socket) {
  if (address.family() == AF_VSOCK) {
    const auto& vm = reinterpret_cast<const sockaddr_vm&>(address.storage);
    return "vsock://" + std::to_string(vm.svm_cid) + ":" + std::to_string(vm.svm_port);
  }
  ucred who{};
  socklen_t size = sizeof who;
  if (address.family() != AF_UNIX || ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
    return {};
  return "unix: uid " + std::to_string(who.uid) + ", pid " + std::to_string(who.pid);
}

}  // namespace

Task<> accept_sockets(Executor executor, int socket, StreamSink take, ClientSink sink) {
  Descriptor listening(executor, ::fcntl(socket, F_DUPFD_CLOEXEC, 3));
  int taken = 0;
  for (bool scarce = false;;) {
    if (scarce && are_scarce(socket)) {
      sink.trouble(cannot_accept(sink.place));
      co_await sleep_for(pause_without_descriptors);
      continue;
    }
    SocketAddress address;
    UniqueFd accepted(::accept4(socket, address.get(), &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      scarce = accepted.get() >= scarce_from();
      Client client{address.endpoint(), name_of(address, accepted.get()), cid_of(address)};
      if (sink.admits && !sink.admits(client)) continue;
      if (address.is_ip()) tune(accepted.get(), client.address.address);
      take(std::move(client), std::move(accepted));
      // Clients that never cease to come must not keep the loop to themselves.
      if (++taken % clients_before_yield == 0) co_await asio::post(executor, use_task);
    } else if (errno == EAGAIN) {
      if (!co_await readable(listening)) co_return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      sink.trouble(cannot_accept(sink.place));
      co_await sleep_for(pause_without_descriptors);
    }
  }
}

Task<> accept_streams(Executor executor, int socket, ClientSink sink) {
  const auto take = [&](Client client, UniqueFd accepted) {
    sink.request(std::make_unique<ConnectionRequest>(
        sink.key(client), client.name, std::make_unique<SocketConnection>(executor, std::move(accepted))));
  };
  co_await accept_sockets(executor, socket, take, sink);
}

}  // namespace nsrun
