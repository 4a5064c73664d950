#include "runtime/delivery_error.h"

#include <ctime>

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace nsrun {
namespace {

constexpr std::size_t echo_header = 8;  // bytes

std::optional<IcmpError> reason_of_icmp4(std::uint8_t type, std::uint8_t code) {
  if (type == ICMP_TIME_EXCEEDED) return IcmpError::time_exceeded;
  if (type != ICMP_DEST_UNREACH) return std::nullopt;
  switch (code) {
    case ICMP_NET_UNREACH:
    case ICMP_NET_UNKNOWN:
    case ICMP_NET_UNR_TOS:
      return IcmpError::network_unreachable;
    case ICMP_PORT_UNREACH:
    case ICMP_PROT_UNREACH:
      return IcmpError::port_unreachable;
    case ICMP_FRAG_NEEDED:
      return IcmpError::too_big;
    case ICMP_NET_ANO:
    case ICMP_HOST_ANO:
    case ICMP_PKT_FILTERED:
      return IcmpError::prohibited;
    default:
      return IcmpError::host_unreachable;
  }
}

std::optional<IcmpError> reason_of_icmp6(std::uint8_t type, std::uint8_t code) {
  constexpr std::uint8_t failed_policy = 5, reject_route = 6;  // RFC 4443 3.1
  if (type == ICMP6_TIME_EXCEEDED) return IcmpError::time_exceeded;
  if (type == ICMP6_PACKET_TOO_BIG) return IcmpError::too_big;
  if (type != ICMP6_DST_UNREACH) return std::nullopt;
  switch (code) {
    case ICMP6_DST_UNREACH_NOROUTE:
      return IcmpError::network_unreachable;
    case ICMP6_DST_UNREACH_NOPORT:
      return IcmpError::port_unreachable;
    case ICMP6_DST_UNREACH_ADMIN:
    case failed_policy:
    case reject_route:
      return IcmpError::prohibited;
    default:
      return IcmpError::host_unreachable;
  }
}

// Elsewhere MSG_ERRQUEUE may mean nothing, and a datagram be read.
bool is_ip(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0) return false;
  return family == AF_INET || family == AF_INET6;
}

std::optional<DeliveryError> undelivered_of(const sock_extended_err& error) {
  if (error.ee_origin == SO_EE_ORIGIN_LOCAL) {
    auto local = undelivered_for(static_cast<int>(error.ee_errno));
    if (!local) return std::nullopt;
    local->mtu = error.ee_info;
    local->from_path = false;
    return local;
  }
  const bool v6 = error.ee_origin == SO_EE_ORIGIN_ICMP6;
  if (!v6 && error.ee_origin != SO_EE_ORIGIN_ICMP) return std::nullopt;
  const auto why =
      v6 ? reason_of_icmp6(error.ee_type, error.ee_code) : reason_of_icmp4(error.ee_type, error.ee_code);
  if (!why) return std::nullopt;
  return DeliveryError{*why, *why == IcmpError::too_big ? error.ee_info : 0, std::nullopt, true};
}

}  // namespace

std::optional<DeliveryError> undelivered_for(int error) {
  DeliveryError undelivered;
  switch (error) {
    case ECONNREFUSED:
      undelivered.why = IcmpError::port_unreachable;
      break;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      undelivered.why = IcmpError::host_unreachable;
      break;
    case ENETUNREACH:
    case ENETDOWN:
      undelivered.why = IcmpError::network_unreachable;
      break;
    case EACCES:
    case EPERM:
      undelivered.why = IcmpError::prohibited;
      break;
    case EMSGSIZE:
      undelivered.why = IcmpError::too_big;
      break;
    default:
      return std::nullopt;
  }
  return undelivered;
}

void keep_errors(int socket, bool v6) {
  const int on = 1;
  if (v6)
    ::setsockopt(socket, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  else
    ::setsockopt(socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
}

std::optional<DeliveryError> take_undelivered(int socket) {
  if (!is_ip(socket)) return std::nullopt;
  for (;;) {
    std::array<std::uint8_t, echo_header> about;  // of a ping socket: the request's header
    alignas(cmsghdr) std::array<char, 256> control;
    iovec part{about.data(), about.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (size < 0) return std::nullopt;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
      const bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
      const bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
      if (!v4 && !v6) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(c), sizeof error);
      auto undelivered = undelivered_of(error);
      if (!undelivered) continue;
      const bool is_request = about[0] == ICMP_ECHO || about[0] == ICMP6_ECHO_REQUEST;
      if (size >= static_cast<ssize_t>(echo_header) && is_request)
        undelivered->echo_sequence = static_cast<std::uint16_t>(about[6] << 8 | about[7]);
      return undelivered;
    }
  }
}

}  // namespace nsrun
