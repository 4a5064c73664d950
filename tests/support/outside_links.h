#pragma once

#include <deque>
#include <string>

#include "tests/support/stack_packets.h"

// Networks around a host, in a network namespace of the test's own (in_own_network). The test plays
// everything beyond the host: it reads what the host sends on a link, and writes what it receives.

namespace nsrun::test {

// Runs ip(8) in this namespace; false: it failed.
bool ip(const std::string& words);

class OutsideLink {
 public:
  // A TUN device that is up, with these addresses ("10.1.0.1/24"). `made` is false: it cannot be made here.
  OutsideLink(const std::string& name, int mtu, const std::vector<std::string>& addresses);
  void read();  // into `seen`
  void send(const Octets& packet);
  // The first datagram to this port, which leaves `seen`.
  std::optional<Seen> take(std::uint16_t to_port);

  bool made = false;
  std::deque<Seen> seen;
  std::deque<Octets> packets;    // as `seen`, whole
  std::deque<Octets> fragments;  // not in `seen`

 private:
  UniqueFd tun_;
};

}  // namespace nsrun::test
