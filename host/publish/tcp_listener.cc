#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/publish/listener.h"
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

// A client that the kernel has accepted for us.
class AcceptedClient final : public Request {
 public:
  AcceptedClient(Executor executor, FlowKey key, UniqueFd socket)
      : executor_(executor), key_(std::move(key)), socket_(std::move(socket)) {}

  const FlowKey& key() const override { return key_; }
  std::unique_ptr<Connection> accept() override {
    return std::make_unique<SocketConnection>(executor_, std::move(socket_));
  }
  // The handshake is over: what is left to say is a reset.
  void refuse(Refusal) override {
    const linger at_once{1, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    socket_.reset();
  }

 private:
  Executor executor_;
  const FlowKey key_;
  UniqueFd socket_;
};

void tune(int socket, const IpAddress& client) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // A kernel that paces by default (bbr) would halve what loopback can do.
  if (client.is_loopback()) ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

Error cannot_accept(const PublishedPort& port) {
  const bool out_of_files = errno == EMFILE || errno == ENFILE;
  return errno_error(
      "cannot take clients of the published port " + std::to_string(port.listen.port),
      out_of_files ? "raise the limit of open files (ulimit -n)" : "this machine is out of memory");
}

}  // namespace

Task<> accept_published(Executor executor, int socket, PublishedPort port, GuestAddresses guest,
                        ClientSink sink) {
  Descriptor listening(executor, ::fcntl(socket, F_DUPFD_CLOEXEC, 3));
  int taken = 0;
  for (bool scarce = false;;) {
    if (scarce && are_scarce(socket)) {
      sink.trouble(cannot_accept(port));
      co_await sleep_for(pause_without_descriptors);
      continue;
    }
    SocketAddress client;
    UniqueFd accepted(::accept4(socket, client.get(), &client.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      scarce = accepted.get() >= scarce_from();
      const Endpoint from = client.endpoint();
      tune(accepted.get(), from.address);
      sink.request(std::make_unique<AcceptedClient>(
          executor, FlowKey{Protocol::tcp, from, guest.at(from.address, port.guest_port)},
          std::move(accepted)));
      // Clients that never cease to come must not keep the loop to themselves.
      if (++taken % clients_before_yield == 0) co_await asio::post(executor, use_task);
    } else if (errno == EAGAIN) {
      if (!co_await readable(listening)) co_return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      sink.trouble(cannot_accept(port));
      co_await sleep_for(pause_without_descriptors);
    }
  }
}

}  // namespace nsrun
