#include "host/sandbox/inject/socket_options.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdint>
#include <cstring>

namespace nsrun {
namespace {

struct Option {
  int level;
  int name;
};

// Those whose value is an int, in an order in which they can be set.
constexpr Option numbers[] = {
    {SOL_SOCKET, SO_KEEPALIVE},      {SOL_SOCKET, SO_OOBINLINE},   {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_PRIORITY},       {SOL_SOCKET, SO_RCVLOWAT},    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_ZEROCOPY},       {IPPROTO_TCP, TCP_NODELAY},   {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE},     {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT}, {IPPROTO_TCP, TCP_LINGER2},   {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_INQ},
};
constexpr Option numbers4[] = {{IPPROTO_IP, IP_TOS}, {IPPROTO_IP, IP_TTL}, {IPPROTO_IP, IP_RECVERR}};
constexpr Option numbers6[] = {
    {IPPROTO_IPV6, IPV6_TCLASS}, {IPPROTO_IPV6, IPV6_UNICAST_HOPS}, {IPPROTO_IPV6, IPV6_RECVERR}};

template <class T>
void carry(int guest, int far, Option option) {
  T wished, had;
  socklen_t size = sizeof wished;
  if (::getsockopt(guest, option.level, option.name, &wished, &size) < 0) return;
  size = sizeof had;
  if (::getsockopt(far, option.level, option.name, &had, &size) < 0) return;
  if (std::memcmp(&wished, &had, sizeof wished) == 0) return;
  ::setsockopt(far, option.level, option.name, &wished, sizeof wished);
}

int number_of(int socket, Option option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, option.level, option.name, &value, &size) == 0 ? value : 0;
}

// Bits of SO_BUF_LOCK (linux/socket.h, SOCK_SNDBUF_LOCK and SOCK_RCVBUF_LOCK).
constexpr int send_size_set = 1, receive_size_set = 2;

// A buffer size is the program's wish only where it was set; else the kernel sizes it. It reads doubled
// (socket(7)).
void carry_buffer_size(int guest, int far, int name, int lock) {
  if (!(number_of(guest, {SOL_SOCKET, SO_BUF_LOCK}) & lock)) return;
  const int wished = number_of(guest, {SOL_SOCKET, name}) / 2;
  ::setsockopt(far, SOL_SOCKET, name, &wished, sizeof wished);
}

}  // namespace

void carry_options_over(int guest, int far) {
  for (const Option option : numbers) carry<int>(guest, far, option);
  const bool is_v6 = number_of(guest, {SOL_SOCKET, SO_DOMAIN}) == AF_INET6;
  if (is_v6)
    for (const Option option : numbers6) carry<int>(guest, far, option);
  else
    for (const Option option : numbers4) carry<int>(guest, far, option);
  carry<timeval>(guest, far, {SOL_SOCKET, SO_RCVTIMEO});
  carry<timeval>(guest, far, {SOL_SOCKET, SO_SNDTIMEO});
  carry_buffer_size(guest, far, SO_SNDBUF, send_size_set);
  carry_buffer_size(guest, far, SO_RCVBUF, receive_size_set);
  ::fcntl(far, F_SETFL, ::fcntl(guest, F_GETFL));
}

void carry_linger_over(int guest, int far) { carry<linger>(guest, far, {SOL_SOCKET, SO_LINGER}); }

}  // namespace nsrun
