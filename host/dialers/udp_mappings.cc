#include "host/dialers/udp_mappings.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "runtime/drop_all_filter.h"
#include "runtime/fd.h"

namespace nsrun {
namespace {

constexpr std::size_t max_datagram = 65'535;  // bytes
constexpr int datagrams_a_turn = 16;          // of one mapping
// Bytes of a mapping with its task, and of each address that it knows.
constexpr std::size_t mapping_cost = 4096, peer_cost = 128;

bool share_port(int socket) {
  const int on = 1;
  return ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
}

bool bind_to(int socket, std::uint16_t port, bool v6) {
  const SocketAddress any(Endpoint{v6 ? IpAddress{} : IpAddress::v4(0, 0, 0, 0), port});
  return ::bind(socket, any.get(), any.length) == 0;
}

int connect_to(int socket, const Endpoint& peer) {
  const SocketAddress address(peer);
  return ::connect(socket, address.get(), address.length) < 0 ? errno : 0;
}

}  // namespace

struct UdpMappings::Mapping {
  Mapping(Executor executor, const Endpoint& guest_, std::uint16_t port_, MemoryCharge memory_)
      : guest(guest_), port(port_), memory(std::move(memory_)), socket(executor) {}
  void know(const Endpoint& peer) {
    if (peers.insert(peer).second) memory.add_always(peer_cost);
  }
  void forget_all_but(const std::set<Endpoint>& living) {
    const auto gone = std::erase_if(peers, [&](const Endpoint& peer) { return !living.contains(peer); });
    memory.subtract(gone * peer_cost);
  }
  bool knows(const IpAddress& address) const {
    const auto first = peers.lower_bound({address, 0});
    return first != peers.end() && first->address == address;
  }

  const Endpoint guest;
  const std::uint16_t port;  // outside
  MemoryCharge memory;
  Descriptor socket;         // without a peer
  std::set<Endpoint> peers;  // outside; those whose flow has ended go with the next check
  int new_peers = 0;         // since the last check
};

UdpMappings::UdpMappings(Executor executor, Scope& tasks, LiveFlows& flows, Heard heard, MemoryShare* memory)
    : executor_(executor),
      tasks_(tasks),
      flows_(flows),
      heard_(std::move(heard)),
      memory_(memory),
      room_(max_datagram) {}

int UdpMappings::connect(int socket, const Endpoint& source, const Endpoint& peer) {
  const Key key{source, !peer.address.is_v4()};
  const auto found = mappings_.find(key);
  if (found != mappings_.end() && join(*found->second, socket, peer)) return 0;
  const int error = connect_to(socket, peer);
  if (error == 0 && found == mappings_.end()) begin(key, socket, peer);
  return error;
}

// False: the socket is as it was, and gets a port of its own.
bool UdpMappings::join(Mapping& mapping, int socket, const Endpoint& peer) {
  if (mapping.peers.size() >= max_flows) return false;
  // Two flows to one peer (of two addresses for it inside) would take each other's datagrams. The new one is
  // among those that live.
  if (mapping.peers.contains(peer) && flows_to(mapping.guest, peer) > 1) return false;
  const DropAllFilter until_connected(socket);
  if (!share_port(socket) || !bind_to(socket, mapping.port, !peer.address.is_v4())) return false;
  if (connect_to(socket, peer) != 0) return false;
  mapping.know(peer);
  return true;
}

// The first flow has chosen the port. Where no descriptor or no memory is left it stays without a mapping.
void UdpMappings::begin(const Key& key, int socket, const Endpoint& peer) {
  if (mappings_.size() >= max_mappings) return;
  MemoryCharge memory(memory_);
  if (!memory.add(mapping_cost, MemoryUse::new_flow)) return;
  const bool v6 = key.second;
  SocketAddress own;
  if (::getsockname(socket, own.get(), &own.length) < 0 || !share_port(socket)) return;
  UniqueFd listening(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (v6) ::setsockopt(listening.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const auto port = own.endpoint().port;
  if (!listening || !share_port(listening.get()) || !bind_to(listening.get(), port, v6)) return;
  auto mapping = std::make_shared<Mapping>(executor_, key.first, port, std::move(memory));
  boost::system::error_code failure;
  mapping->socket.assign(listening.get(), failure);
  if (failure) return;
  listening.release();  // the mapping's
  mapping->know(peer);
  mappings_.emplace(key, mapping);
  tasks_.spawn(listen(std::move(mapping)));
  if (!std::exchange(checking_, true)) tasks_.spawn(check_now_and_then());
}

std::size_t UdpMappings::flows_to(const Endpoint& source, const Endpoint& peer) {
  std::size_t count = 0;
  LiveFlows::Walk walk(flows_);
  while (const FlowRecord* flow = walk.next()) {
    const Endpoint* dialled = flow->dialled_address();
    count += flow->key.protocol == Protocol::udp && flow->key.source == source && dialled && *dialled == peer;
  }
  return count;
}

// ---- what comes from elsewhere

// Until the mapping's socket is closed.
Task<> UdpMappings::listen(std::shared_ptr<Mapping> mapping) {
  while (mapping->socket.is_open()) {
    const auto [error] = co_await mapping->socket.async_wait(Descriptor::wait_read, use_result);
    if (error || !mapping->socket.is_open()) co_return;
    for (int taken = 0; taken < datagrams_a_turn && take_one(*mapping); ++taken)
      // A flow that begins with it is there when its next datagram is looked at.
      co_await asio::post(executor_, use_task);
  }
}

bool UdpMappings::take_one(Mapping& mapping) {
  if (!mapping.socket.is_open()) return false;
  SocketAddress from;
  const auto size = ::recvfrom(mapping.socket.native_handle(), room_.data(), room_.size(), MSG_DONTWAIT,
                               from.get(), &from.length);
  if (size < 0) return errno == EINTR;
  hear(mapping, from.endpoint(), Bytes(room_).first(static_cast<std::size_t>(size)));
  return true;
}

void UdpMappings::hear(Mapping& mapping, const Endpoint& from, Bytes datagram) {
  if (!mapping.knows(from.address)) return;
  Unasked unasked{{Protocol::udp, mapping.guest, {}}, from, nullptr, datagram};
  bool is_known = false;
  LiveFlows::Walk walk(flows_);
  while (FlowRecord* flow = walk.next()) {
    const Endpoint* dialled = flow->dialled_address();
    if (flow->key.protocol != Protocol::udp || flow->key.source != mapping.guest || !dialled) continue;
    if (!is_guest(flow->asker) || dialled->address != from.address) continue;
    if (*dialled == from) {
      unasked.key = flow->key;
      unasked.flow = flow;
      return heard_(unasked);
    }
    // A redirection to another port: there is no port at which the guest would know the sender.
    if (dialled->port != flow->key.target.port) continue;
    is_known = true;
    unasked.key.target = {flow->key.target.address, from.port};
  }
  if (is_known && mapping.new_peers++ < max_new_peers) heard_(unasked);
}

// ---- the end of mappings

void UdpMappings::check() {
  std::map<Endpoint, std::set<Endpoint>> living;
  {
    LiveFlows::Walk walk(flows_);
    while (const FlowRecord* flow = walk.next())
      if (const Endpoint* dialled = flow->dialled_address(); dialled && flow->key.protocol == Protocol::udp)
        living[flow->key.source].insert(*dialled);
  }
  std::erase_if(mappings_, [&](auto& entry) {
    Mapping& mapping = *entry.second;
    mapping.new_peers = 0;
    mapping.forget_all_but(living[mapping.guest]);
    if (!mapping.peers.empty()) return false;
    boost::system::error_code ignored;
    mapping.socket.close(ignored);
    return true;
  });
}

Task<> UdpMappings::check_now_and_then() {
  while (!mappings_.empty()) {
    co_await sleep_for(check_interval);
    check();
  }
  checking_ = false;
}

}  // namespace nsrun
