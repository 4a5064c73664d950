// The TUN device: which offloads it takes, and what it does with packets of ours that exceed its MTU.

#include <sys/socket.h>
#include <sys/uio.h>

#include <vector>
#include "tests/support/catch.h"

#include "container/device/tun.h"
#include "netstack/devices/tun_device.h"
#include "netstack/packet.h"
#include "tests/support/container_skip.h"
#include "tests/support/own_network.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

const Endpoint guest{IpAddress::v4(10, 0, 2, 100), 5000}, world{IpAddress::v4(10, 0, 2, 2), 53};

// 0: as expected.
int write_to_guest(Bytes payload, std::uint16_t segment, const std::vector<ssize_t>& expected) {
  auto fd = open_tun("tun0");
  if (!fd) return 77;
  set_up_device("tun0", guest.address, 1500);
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
