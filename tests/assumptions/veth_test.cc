// A packet socket on one end of a veth pair: what it takes, what it gives, and for whom the kernel takes it.

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <vector>
#include "tests/support/catch.h"

#include "container/device/veth.h"
#include "netstack/devices/packet_device.h"
#include "netstack/packet.h"
#include "runtime/network.h"
#include "tests/support/container_skip.h"
#include "tests/support/own_network.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr int mtu = 1500;
const Endpoint veth_guest{IpAddress::v4(10, 0, 2, 100), 5000}, veth_world{IpAddress::v4(10, 0, 2, 2), 53};

// The far end of a pair whose guest's end is up.
Result<UniqueFd> far_end() {
  auto queues = open_veth("tun0", mtu);
  if (!queues) return queues.error();
  set_up_device("tun0", veth_guest.address, mtu);
  settle_veth("tun0", queues->front().get());
  return std::move(queues->front());
}

bool comes(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 2000) == 1;
}

// Whether a packet from there has come to the device.
bool hears(Device& device, const IpAddress& source) {
  Octets room(max_packet);
  Offload offload;
  std::size_t size = 0;
  while (device.read(offload, room, size) == Device::ReadStatus::packet) {
    const auto packet = parse_packet(MutableBytes(room).first(size));
    if (packet && packet->source == source) return true;
  }
  return false;
}

// 0: as expected. What it sends itself it does not hear.
int write_frame_to_guest(Bytes payload, std::uint16_t segment, const std::vector<ssize_t>& expected) {
  auto fd = far_end();
  if (!fd) return 77;
  auto device = PacketDevice::open(std::move(*fd), mtu);
  if (!device) return 2;
  const auto socket = guest_socket(veth_guest);
  if (!socket) return 3;
  const iovec part{const_cast<std::byte*>(payload.data()), payload.size()};
  write_udp(**device, veth_world, veth_guest, {&part, 1}, segment);
  if (!(*device)->segments_udp()) return 78;
  if (received(socket.get(), expected.size()) != expected) return 4;
  return hears(**device, veth_world.address) ? 5 : 0;
}

// Sends from the guest, with UDP segmentation if asked.
int send_from_guest(const Octets& payload, int segment) {
  const auto socket = guest_socket(veth_guest);
  SocketAddress to(veth_world);
  if (segment > 0 && ::setsockopt(socket.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0)
    return 78;
  const auto sent = ::sendto(socket.get(), payload.data(), payload.size(), 0, to.get(), to.length);
  return sent == static_cast<ssize_t>(payload.size()) ? 0 : 6;
}

bool veth_possible(int status) {
  if (status == 77) return !skip("user and network namespaces or veth pairs cannot be used here");
  if (status == 78) return !skip("this kernel does not segment UDP on a packet socket (Linux 6.2 does)");
  return true;
}

void expect_success(int status) {
  if (veth_possible(status)) CHECK(status == 0);
}

}  // namespace

TEST_CASE("a veth pair takes a packet of ours that is larger than its MTU, in fragments") {
  const auto payload = pattern(60'000);
  expect_success(in_own_network([&] { return write_frame_to_guest(payload, 0, {60'000}); }));
}

TEST_CASE("a veth pair hands on what UDP segmentation offload has put together, and the guest cuts it") {
  const auto payload = pattern(2500);
  expect_success(in_own_network([&] { return write_frame_to_guest(payload, 1000, {1000, 1000, 500}); }));
}

TEST_CASE("segments of a veth pair may be larger than its MTU") {
  const auto payload = pattern(7000);
  expect_success(in_own_network([&] { return write_frame_to_guest(payload, 3000, {3000, 3000, 1000}); }));
}

TEST_CASE("the guest's frames are another host's at the far end of a veth pair") {
  expect_success(in_own_network([] {
    const auto fd = far_end();
    if (!fd) return 77;
    if (const int failed = send_from_guest(pattern(100), 0)) return failed;
    // Between them the guest's kernel may send of its own accord (multicast listener reports).
    while (comes(fd->get())) {
      std::array<std::uint8_t, 2000> frame;
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(fd->get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got != 10 + ETH_HLEN + 20 + 8 + 100) continue;
      if (from.sll_pkttype != PACKET_OTHERHOST) return 9;
      const bool to_itself =
          std::equal(guest_ethernet_address.begin(), guest_ethernet_address.end(), frame.begin() + 10);
      return to_itself ? 0 : 10;
    }
    return 7;
  }));
}

TEST_CASE("a veth pair gives what the guest's kernel has put together, checksums left to be filled in") {
  expect_success(in_own_network([] {
    auto fd = far_end();
    auto device = fd ? PacketDevice::open(std::move(*fd), mtu) : fd.error();
    if (!device) return 77;
    if (const int failed = send_from_guest(pattern(2500), 1000)) return failed;
    while (comes((*device)->fd())) {
      Octets room(max_packet);
      Offload offload;
      std::size_t size = 0;
      if ((*device)->read(offload, room, size) != Device::ReadStatus::packet) return 8;
      if (size != 20 + 8 + 2500) continue;
      const bool described = offload.segmentation == Offload::segment_udp && offload.segment_size == 1000 &&
                             offload.checksum_start == 20 && offload.checksum_offset == 6 &&
                             offload.flags == Offload::needs_checksum;
      return described ? 0 : 9;
    }
    return 7;
  }));
}
