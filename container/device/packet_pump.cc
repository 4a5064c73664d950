#include "container/device/packet_pump.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace nsrun {
namespace {

constexpr std::size_t max_packet = 65535;  // bytes: what an IPv4 header can say, and above any MTU of ours

bool transient(int number) { return number == EINTR || number == EAGAIN; }
bool peer_gone(int number) { return number == EPIPE || number == ECONNRESET; }

Result<void> wait(pollfd* first, nfds_t count) {
  while (::poll(first, count, -1) < 0)
    if (errno != EINTR) return errno_error("cannot wait for packets");
  return {};
}

}  // namespace

Result<void> pump_from_host(int channel, int device) {
  std::vector<char> packet(max_packet);
  for (;;) {
    const ssize_t size = ::recv(channel, packet.data(), packet.size(), 0);
    if (size == 0 || (size < 0 && peer_gone(errno))) return {};
    if (size < 0 && transient(errno)) {
      pollfd waiting{channel, POLLIN, 0};
      if (auto done = wait(&waiting, 1); !done) return done;
      continue;
    }
    if (size < 0) return errno_error("cannot take packets from the host");
    // EINVAL: not an IP packet; EIO: the device is down; EAGAIN: its queue is full. All are a packet lost,
    // as on any link. EBADFD: the device is gone.
    if (::write(device, packet.data(), static_cast<std::size_t>(size)) < 0 && errno == EBADFD)
      return errno_error("the network device was taken away");
  }
}

Result<void> pump_to_host(int channel, int device) {
  std::vector<char> packet(max_packet);
  for (;;) {
    const ssize_t size = ::read(device, packet.data(), packet.size());
    if (size < 0 && transient(errno)) {
      pollfd waiting[] = {{device, POLLIN, 0}, {channel, POLLRDHUP, 0}};
      if (auto done = wait(waiting, 2); !done) return done;
      if (waiting[1].revents) return {};
      continue;
    }
    if (size < 0) return errno_error("cannot take packets from the network device");
    if (::send(channel, packet.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) >= 0) continue;
    if (peer_gone(errno)) return {};
    // ENOBUFS, EMSGSIZE, and EAGAIN on a non-blocking channel: the packet is lost, as on any link.
    if (!transient(errno) && errno != ENOBUFS && errno != EMSGSIZE)
      return errno_error("cannot hand packets to the host");
  }
}

Result<void> wait_for_hang_up(int channel) {
  pollfd waiting{channel, POLLRDHUP, 0};
  return wait(&waiting, 1);
}

}  // namespace nsrun
