#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/flow/keepalive.h"
#include "host/flow/socket_connection.h"
#include "host/listen/accept_error.h"
#include "host/listen/listener.h"

namespace nsrun {
namespace {

// So long clients wait for descriptors, then those that wait are reset. Without that, a connection that leads
// back to its own listener would keep all descriptors: each of its links waits for the next to answer, and
// the last one waits here.
constexpr auto patience_without_descriptors = 1s;
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
  set_keepalive(socket);
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

namespace {

// One listening socket's clients.
class Acceptor {
 public:
  Acceptor(Executor executor, int socket, const StreamSink& take, const ClientSink& sink)
      : executor_(executor),
        socket_(socket),
        take_(take),
        sink_(sink),
        listening_(executor, ::fcntl(socket, F_DUPFD_CLOEXEC, 3)),
        spare_(::fcntl(socket, F_DUPFD_CLOEXEC, 3)) {}

  Task<> run() {
    for (;;) {
      if (scarce_ && are_scarce(socket_)) {
        co_await sit_out();
        continue;
      }
      if (std::exchange(scarce_, false)) scarce_since_.reset();
      SocketAddress address;
      UniqueFd accepted = accept_next(address);
      if (accepted) {
        welcome(address, std::move(accepted));
        // Clients that never cease to come must not keep the loop to themselves.
        if (++taken_ % clients_before_yield == 0) co_await asio::post(executor_, use_task);
        continue;
      }
      switch (accept_error(errno)) {
        case AcceptError::none_waiting:
          if (!co_await readable(listening_)) co_return;
          break;
        case AcceptError::without_resources:
          co_await sit_out();
          break;
        case AcceptError::of_one_client:
          co_await asio::post(executor_, use_task);
          break;
        case AcceptError::not_listening:
          co_return;
      }
    }
  }

 private:
  UniqueFd accept_next(SocketAddress& address) const {
    return UniqueFd(::accept4(socket_, address.get(), &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }

  void welcome(const SocketAddress& address, UniqueFd accepted) {
    scarce_ = accepted.get() >= scarce_from();
    Client client{address.endpoint(), name_of(address, accepted.get()), cid_of(address)};
    if (sink_.admits && !sink_.admits(client)) return;
    if (address.is_ip()) tune(accepted.get(), client.address.address);
    take_(std::move(client), std::move(accepted));
  }

  Task<> sit_out() {
    sink_.trouble(cannot_accept(sink_.place));
    const auto now = Clock::now();
    scarce_ = true;
    if (!scarce_since_) scarce_since_ = now;
    if (now - *scarce_since_ >= patience_without_descriptors) refuse_waiting();
    co_await sleep_for(pause_without_descriptors);
  }

  void refuse_waiting() {
    spare_.reset();
    const linger at_once{1, 0};
    for (int refused = 0; refused < clients_before_yield; ++refused) {
      SocketAddress address;
      const UniqueFd client = accept_next(address);
      if (!client) break;
      ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    spare_.reset(::fcntl(socket_, F_DUPFD_CLOEXEC, 3));
  }

  const Executor executor_;
  const int socket_;
  const StreamSink& take_;
  const ClientSink& sink_;
  Descriptor listening_;
  UniqueFd spare_;  // given up for clients that can only be refused
  bool scarce_ = false;
  std::optional<Clock::time_point> scarce_since_;
  int taken_ = 0;
};

}  // namespace

Task<> accept_sockets(Executor executor, int socket, StreamSink take, ClientSink sink) {
  Acceptor acceptor(executor, socket, take, sink);
  co_await acceptor.run();
}

Task<> accept_streams(Executor executor, int socket, ClientSink sink) {
  const auto take = [&](Client client, UniqueFd accepted) {
    sink.request(std::make_unique<ConnectionRequest>(
        sink.key(client), client.name, std::make_unique<SocketConnection>(executor, std::move(accepted))));
  };
  co_await accept_sockets(executor, socket, take, sink);
}

}  // namespace nsrun
