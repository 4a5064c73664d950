#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <thread>
#include "tests/support/catch.h"

#include "container/container.h"
#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// Container as a library user's own child uses it, in namespaces that Command made.

using namespace nsrun;

namespace {

// Sends one UDP datagram to the world, and pumps packets until the host goes. 0 when all went well.
int pumping_child() {
  auto net = Container::open(FakeHost::child_fd - 3, {}, DeviceMode::pump);
  if (!net || !net->setup_network()) return 1;
  bool wrote = false;
  std::thread writer([&] { wrote = net->write_loop().has_value(); });
  const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM, 0));
  SocketAddress world(Endpoint{IpAddress::v4(192, 0, 2, 1), 7});
  const bool sent = ::sendto(udp.get(), "hello", 5, 0, world.get(), world.length) == 5;
  const bool read = net->read_loop().has_value();
  writer.join();
  return sent && read && wrote ? 0 : 2;
}

int mounting_child() {
  auto net = Container::open(FakeHost::child_fd - 3);
  if (!net || !net->setup_network()) return 1;
  char directory[] = "/tmp/nsrun-root-XXXXXX";
  if (!::mkdtemp(directory)) return 2;
  const std::string root = directory;
  const bool mounted = net->mount_tun_device(root).has_value() && net->mount_tun_device(root).has_value();
  struct stat found {};
  const bool there = ::stat((root + "/dev/net/tun").c_str(), &found) == 0 && S_ISCHR(found.st_mode);
  while (::umount2((root + "/dev/net/tun").c_str(), MNT_DETACH) == 0) {
  }
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
  (void)net->read_loop();
  return mounted && there ? 0 : 3;
}

// The next packet of this protocol from the guest; empty when none comes.
std::string next_packet(int channel, char protocol) {
  char packet[65536];
  for (ssize_t size; (size = ::recv(channel, packet, sizeof packet, 0)) > 0;)
    if (size >= 28 && packet[0] == 0x45 && packet[9] == protocol)
      return {packet, static_cast<std::size_t>(size)};
  return {};
}

// An echo request (RFC 792) from 192.0.2.1 to the guest, checksums by hand.
std::string echo_request() {
  const unsigned char bytes[] = {0x45, 0, 0,  28, 0, 0,   0, 0, 64,   1,    0xac, 0x7c, 192, 0,
                                 2,    1, 10, 0,  2, 100, 8, 0, 0xf7, 0xfd, 0,    1,    0,   1};
  return {reinterpret_cast<const char*>(bytes), sizeof bytes};
}

}  // namespace

TEST_CASE("where the host cannot take the device, the child pumps raw packets both ways") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(pumping_child);
  CHECK(host.await(MessageType::pump).number == 65520);
  host.send({MessageType::go});

  const auto datagram = next_packet(host.socket(), IPPROTO_UDP);
  REQUIRE(datagram.size() == 33);
  CHECK(datagram.substr(28) == "hello");

  const auto request = echo_request();
  REQUIRE(::send(host.socket(), request.data(), request.size(), 0) == 28);
  const auto reply = next_packet(host.socket(), IPPROTO_ICMP);
  REQUIRE(reply.size() == 28);
  CHECK(reply[20] == 0);  // echo reply

  host.leave();
  CHECK(host.wait_for_agent() == 0);
}

TEST_CASE("the TUN device can be made visible in a new root, twice over") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(mounting_child);
  host.bring_up();
  host.leave();
  CHECK(host.wait_for_agent() == 0);
}

TEST_CASE("a descriptor that is not the host's is an error, not a surprise") {
  CHECK_FALSE(Container::open(900).has_value());
}
