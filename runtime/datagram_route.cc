#include "runtime/datagram_route.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "runtime/drop_all_filter.h"

namespace nsrun {
namespace {

UniqueFd datagram_socket(int family) { return UniqueFd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

bool is_own(IpAddress address, int family) {
  const UniqueFd probe = datagram_socket(family);
  const SocketAddress own(Endpoint{address, 0});
  return ::bind(probe.get(), own.get(), own.length) == 0 || errno != EADDRNOTAVAIL;
}

// Temporary addresses (RFC 8981) change all the time on a route that stays.
bool is_same_prefix(const IpAddress& one, const IpAddress& other) {
  constexpr std::size_t prefix = 8;  // bytes
  return !one.is_v4() && !other.is_v4() && std::memcmp(one.data(), other.data(), prefix) == 0;
}

bool may_be_the_route(int error) {
  switch (error) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENODEV:
    case EADDRNOTAVAIL:
    case EINVAL:
    case ENOTCONN:
    case EDESTADDRREQ:
      return true;
    default:
      return false;
  }
}

bool has_peer(int socket) {
  SocketAddress peer;
  return ::getpeername(socket, peer.get(), &peer.length) == 0;
}

}  // namespace

void DatagramRoute::remember_peer(int socket) {
  if (peer_) return;
  auto peer = std::make_unique<SocketAddress>();
  if (::getpeername(socket, peer->get(), &peer->length) == 0) peer_ = std::move(peer);
}

void DatagramRoute::changed(int socket, std::uint32_t generation) {
  seen_ = generation;
  remember_peer(socket);
  if (peer_ && peer_->is_ip() && has_moved(socket)) connect_again(socket);
}

// What a new socket would do tells; IPv6 goes on sending from an address that is gone, without an error.
bool DatagramRoute::has_moved(int socket) const {
  SocketAddress own, fresh;
  if (::getsockname(socket, own.get(), &own.length) < 0) return false;
  const UniqueFd probe = datagram_socket(peer_->family());
  if (::connect(probe.get(), peer_->get(), peer_->length) < 0) return false;  // there is no route just now
  if (::getsockname(probe.get(), fresh.get(), &fresh.length) < 0) return false;
  const auto before = own.endpoint().address, now = fresh.endpoint().address;
  if (before == now) return false;
  return !is_same_prefix(before, now) || !is_own(before, own.family());
}

bool DatagramRoute::connect_again(int socket) const {
  if (!peer_->is_ip()) return ::connect(socket, peer_->get(), peer_->length) == 0;
  const DropAllFilter meanwhile(socket);
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  ::connect(socket, &nobody, sizeof nobody);  // gives the source address up (connect(2))
  return ::connect(socket, peer_->get(), peer_->length) == 0;
}

int DatagramRoute::recover(int socket, int error) {
  if (!may_be_the_route(error) && error != ECONNREFUSED) return error;
  remember_peer(socket);
  if (!peer_) return error;
  if (!peer_->is_ip()) {
    const bool has_path = peer_->length > sizeof(sa_family_t);
    return has_path && connect_again(socket) ? 0 : ECONNREFUSED;
  }
  if (error == ECONNREFUSED) return error;  // the peer's word
  if (has_peer(socket) && !has_moved(socket)) return error;
  return connect_again(socket) ? 0 : ENETUNREACH;
}

}  // namespace nsrun
