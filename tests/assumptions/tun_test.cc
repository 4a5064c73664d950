// The TUN device: which offloads it takes, and what it does with packets of ours that exceed its MTU.

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "container/tun.h"
#include "netstack/packet.h"
#include "netstack/tun_device.h"
#include "tests/support/container_skip.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// In a process of its own with a network of its own; 0 is success. Says why when it cannot be made.
int in_own_network(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? body() : 77);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

void set_up(const char* device, const IpAddress& address, int mtu) {
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  in->sin_family = AF_INET;
  std::memcpy(&in->sin_addr, address.data(), 4);
  ::ioctl(control.get(), SIOCSIFADDR, &request);
  const in_addr mask{htonl(0xffffff00)};
  in->sin_addr = mask;
  ::ioctl(control.get(), SIOCSIFNETMASK, &request);
  request.ifr_mtu = mtu;
  ::ioctl(control.get(), SIOCSIFMTU, &request);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(control.get(), SIOCSIFFLAGS, &request);
}

// A socket of the guest at `guest`, and the sizes of what came into it from the device.
std::vector<ssize_t> received(int socket, std::size_t most) {
  std::vector<ssize_t> sizes;
  std::vector<std::byte> room(65'536);
  while (sizes.size() < most) {
    const ssize_t got = ::recv(socket, room.data(), room.size(), 0);
    if (got < 0) break;
    sizes.push_back(got);
  }
  return sizes;
}

UniqueFd guest_socket(const Endpoint& guest) {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address(guest);
  const timeval limit{2, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::bind(socket.get(), address.get(), address.length) != 0) socket.reset();
  return socket;
}

const Endpoint guest{IpAddress::v4(10, 0, 2, 100), 5000}, world{IpAddress::v4(10, 0, 2, 2), 53};

// 0: as expected.
int write_to_guest(Bytes payload, std::uint16_t segment, const std::vector<ssize_t>& expected) {
  auto fd = open_tun("tun0");
  if (!fd) return 77;
  set_up("tun0", guest.address, 1500);
  auto device = TunDevice::open(std::move(*fd));
  if (!device) return 2;
  if (segment != 0 && !(*device)->segments_udp()) return 78;
  const auto socket = guest_socket(guest);
  if (!socket) return 3;
  const iovec part{const_cast<std::byte*>(payload.data()), payload.size()};
  write_udp(**device, world, guest, {&part, 1}, segment);
  return received(socket.get(), expected.size()) == expected ? 0 : 4;
}

bool possible(int status) {
  if (status == 77) return !skip("user and network namespaces or /dev/net/tun cannot be used here");
  if (status == 78) return !skip("this kernel does not segment UDP on a TUN device (Linux 6.2 does)");
  return true;
}

}  // namespace

TEST_CASE("a TUN device takes checksum and TCP segmentation offload") {
  const int status = in_own_network([] {
    auto fd = open_tun("tun0");
    if (!fd) return 77;
    return TunDevice::open(std::move(*fd)) ? 0 : 1;
  });
  if (possible(status)) CHECK(status == 0);
}

TEST_CASE("a TUN device takes a packet of ours that is larger than its MTU") {
  const auto payload = pattern(60'000);
  const int status = in_own_network([&] { return write_to_guest(payload, 0, {60'000}); });
  if (possible(status)) CHECK(status == 0);
}

TEST_CASE("a TUN device cuts what UDP segmentation offload has put together") {
  const auto payload = pattern(2500);
  const int status = in_own_network([&] { return write_to_guest(payload, 1000, {1000, 1000, 500}); });
  if (possible(status)) CHECK(status == 0);
}
