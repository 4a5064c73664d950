#include "netstack/devices/packet_device.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "tests/support/catch.h"

#include "netstack/devices/open_device.h"
#include "tests/support/container_skip.h"
#include "tests/support/own_network.h"

// What a sandbox may send in place of its device. Each is refused, and none is read from.

using namespace nsrun;
using namespace nsrun::test;

namespace {

bool refused(UniqueFd fd) { return fd && !open_device(std::move(fd), 1500); }

UniqueFd packet_socket(int type, bool headers, const char* device) {
  UniqueFd socket(::socket(AF_PACKET, type, 0));
  const int on = 1;
  if (headers) ::setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(device));
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) socket.reset();
  return socket;
}

}  // namespace

TEST_CASE("a file, a pipe and a socket of another kind are no device") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd other_end(ends[1]);
  CHECK(refused(UniqueFd(ends[0])));
  CHECK(refused(UniqueFd(::open("/dev/null", O_RDWR))));
  CHECK(refused(UniqueFd(::socket(AF_INET, SOCK_DGRAM, 0))));
  CHECK(refused(UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET, 0))));
}

TEST_CASE("a packet socket without virtio headers, without a device or on another kind of device is none") {
  const int status = in_own_network([] {
    if (!UniqueFd(::socket(AF_PACKET, SOCK_RAW, 0))) return 77;
    if (!refused(packet_socket(SOCK_RAW, true, "lo"))) return 1;
    if (!refused(packet_socket(SOCK_RAW, false, "lo"))) return 2;
    if (!refused(packet_socket(SOCK_DGRAM, false, "lo"))) return 3;
    return refused(packet_socket(SOCK_RAW, true, "")) ? 0 : 4;
  });
  if (status == 77 && skip("packet sockets cannot be made here")) return;
  CHECK(status == 0);
}
