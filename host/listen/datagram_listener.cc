#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/post.hpp>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

#include "host/listen/client_quota.h"
#include "host/listen/listener.h"

// A bound datagram socket; its clients are told apart by their addresses. Each client is one flow, which ends
// when it has been idle.
//
// Whoever forges source addresses makes a client of each. So clients that have not sent again after an
// answer, which they can only have received at their address, have places apart: forged ones displace each
// other, and never a client that is known. Among the known the one that was not used for the longest time
// gives way.

namespace nsrun {
namespace {

constexpr std::size_t max_new_clients = 4096, max_known_clients = 4096;
constexpr std::size_t max_flows = 12'288;  // with those that were displaced and have not ended yet
// Datagrams that nobody has read yet, in bytes with what keeping each costs: of one client, and of all
// clients of a port. Newer ones are lost.
constexpr std::size_t max_waiting = 256 << 10, max_waiting_at_port = 16 << 20;
constexpr std::size_t keeping = 64;
constexpr std::size_t datagram_size = 65'536;
constexpr int datagrams_per_turn = 64;  // then other tasks run, however fast the clients send

class ClientConnection;

// The clients of one port.
struct Clients {
  Executor executor;
  int socket;
  std::unordered_map<std::string, ClientConnection*> by_address =
      {};                   // the client's sockaddr and ours, as bytes
  std::size_t waiting = 0;  // bytes, of all
  ClientQuota new_places{max_new_clients}, known_places{max_known_clients};
  std::shared_ptr<std::size_t> flows = std::make_shared<std::size_t>(0);
};

// The local address a datagram came to: replies must come from there (ip(7), IP_PKTINFO).
struct LocalAddress {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  std::size_t size = 0;

  void keep(msghdr& header) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
      const bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
      if (!v4 && !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)) continue;
      size = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));
      std::memcpy(control, c, c->cmsg_len);
      auto* kept = reinterpret_cast<cmsghdr*>(control);
      if (v4) {
        auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(kept));
        info->ipi_spec_dst = info->ipi_addr;
        info->ipi_ifindex = 0;
      } else {
        reinterpret_cast<in6_pktinfo*>(CMSG_DATA(kept))->ipi6_ifindex = 0;
      }
    }
  }
};

class ClientConnection final : public Connection {
 public:
  ClientConnection(Clients& clients, std::string id, SocketAddress address, LocalAddress local)
      : clients_(&clients),
        flows_(clients.flows),
        id_(std::move(id)),
        address_(address),
        local_(local),
        readable_(clients.executor) {
    clients.by_address[id_] = this;
    ++*flows_;
  }
  ~ClientConnection() override {
    if (clients_) forget();
    --*flows_;
  }
  // False: no other client gives way.
  bool take_place() {
    place_ = clients_->new_places.take(address_.endpoint().address, [this] { return leave(), true; });
    return static_cast<bool>(place_);
  }
  Transport transport() const override { return Transport::datagram; }

  void push(Bytes datagram) {
    used_ = true;
    if (answered_ && !known_) become_known();
    const std::size_t cost = datagram.size() + keeping;
    if (waiting_bytes_ + cost > max_waiting || clients_->waiting + cost > max_waiting_at_port) return;
    count(static_cast<std::ptrdiff_t>(cost));
    waiting_.emplace_back(datagram.begin(), datagram.end());
    readable_.raise();
  }
  void nobody_listens() {
    clients_ = nullptr;
    readable_.raise();
  }

  Task<Result<Chunk>> read(MutableBytes into) override {
    while (waiting_.empty() && clients_) co_await readable_.wait();
    if (waiting_.empty()) co_return Chunk{0, true};
    const auto datagram = std::move(waiting_.front());
    waiting_.pop_front();
    count(-static_cast<std::ptrdiff_t>(datagram.size() + keeping));
    const std::size_t size = std::min(into.size(), datagram.size());
    if (size > 0) std::memcpy(into.data(), datagram.data(), size);
    co_return Chunk{size, false};
  }

  Task<Result<void>> write(Bytes datagram) override {
    if (!clients_) co_return Error{"cannot answer a client", errno_code(EPIPE)};
    iovec part{const_cast<std::byte*>(datagram.data()), datagram.size()};
    msghdr header{};
    header.msg_name = address_.get();
    header.msg_namelen = address_.length;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (local_.size > 0) {
      header.msg_control = local_.control;
      header.msg_controllen = local_.size;
    }
    // A full socket buffer loses the datagram, as a full queue on the way would.
    if (::sendmsg(clients_->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
      co_return errno_error("cannot answer a client");
    answered_ = true;
    co_return Result<void>{};
  }

  void finish() override {}
  void reset() override {}

 private:
  void forget() {
    clients_->waiting -= waiting_bytes_;
    clients_->by_address.erase(id_);
  }
  void leave() {
    forget();
    nobody_listens();
  }
  // Where all known clients are in use, it stays what it is.
  void become_known() {
    auto place = clients_->known_places.take(address_.endpoint().address, [this] {
      const bool goes = !std::exchange(used_, false);
      if (goes) leave();
      return goes;
    });
    known_ = static_cast<bool>(place);
    if (known_) place_ = std::move(place);
  }
  void count(std::ptrdiff_t bytes) {
    waiting_bytes_ += static_cast<std::size_t>(bytes);
    if (clients_) clients_->waiting += static_cast<std::size_t>(bytes);
  }

  Clients* clients_;  // null when nobody listens any more, or another has our place
  const std::shared_ptr<std::size_t> flows_;
  const std::string id_;
  SocketAddress address_;
  LocalAddress local_;
  std::deque<std::vector<std::byte>> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool answered_ = false, known_ = false;
  bool used_ = false;  // since we were last asked to give way
  Signal readable_;
  ClientQuota::Place place_;
};

// "unix:/run/client.sock"; one without an address has none to be told by.
SharedText name_of(const SocketAddress& address) {
  if (address.family() != AF_UNIX) return {};
  const auto& un = reinterpret_cast<const sockaddr_un&>(address.storage);
  const auto size = address.length - offsetof(sockaddr_un, sun_path);
  if (address.length <= offsetof(sockaddr_un, sun_path)) return "unix: unnamed";
  const std::string_view path(un.sun_path, ::strnlen(un.sun_path, size));
  return path.empty() ? SharedText("unix: abstract") : SharedText("unix:" + std::string(path));
}

// Tells the clients that live on when the listener's task ends, however it ends.
struct Farewell {
  Clients& clients;
  ~Farewell() {
    for (auto& [id, client] : clients.by_address) client->nobody_listens();
  }
};

}  // namespace

Task<> receive_datagrams(Executor executor, int socket, ClientSink sink) {
  Clients clients{executor, socket};
  const Farewell farewell{clients};
  Descriptor bound(executor, ::fcntl(socket, F_DUPFD_CLOEXEC, 3));
  std::vector<std::byte> buffer(datagram_size);
  for (int calls = 1;; ++calls) {
    if (calls % datagrams_per_turn == 0) co_await asio::post(executor, use_task);
    SocketAddress from;
    LocalAddress local;
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))];
    header.msg_name = from.get();
    header.msg_namelen = from.length;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(socket, &header, MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EBADF || errno == ENOTSOCK) co_return;
      if (errno != EAGAIN) continue;  // an earlier datagram's error, come back (udp(7))
      const bool is_bound = co_await readable(bound);
      if (!is_bound) co_return;
      continue;
    }
    from.length = header.msg_namelen;
    local.keep(header);
    if (sink.admits && !sink.admits({from.endpoint(), name_of(from)})) continue;
    const Bytes datagram(buffer.data(), static_cast<std::size_t>(got));
    std::string id(reinterpret_cast<const char*>(&from.storage), from.length);
    id.append(local.control, local.size);
    if (const auto known = clients.by_address.find(id); known != clients.by_address.end()) {
      known->second->push(datagram);
      continue;
    }
    if (*clients.flows >= max_flows) continue;
    auto connection = std::make_unique<ClientConnection>(clients, id, from, local);
    if (!connection->take_place()) continue;
    connection->push(datagram);
    const Client client{from.endpoint(), name_of(from)};
    sink.request(std::make_unique<ConnectionRequest>(sink.key(client), client.name, std::move(connection)));
  }
}

}  // namespace nsrun
