#include "tests/support/outside_links.h"

#include <array>
#include <cstdlib>

#include "container/device/tun.h"

namespace nsrun::test {
namespace {

bool is_fragment(Bytes packet) {  // of IPv4
  const int word = std::to_integer<int>(packet[6]) << 8 | std::to_integer<int>(packet[7]);
  return std::to_integer<int>(packet[0]) >> 4 == 4 && (word & 0x3fff) != 0;
}

bool is_plain(Bytes packet) {  // UDP or an echo request
  const bool v4 = std::to_integer<int>(packet[0]) >> 4 == 4;
  const auto protocol = std::to_integer<int>(packet[v4 ? 9 : 6]);
  const auto type = std::to_integer<int>(packet[v4 ? 20 : 40]);
  return protocol == 17 || (protocol == 1 && type == 8) || (protocol == 58 && type == 128);
}

}  // namespace

bool ip(const std::string& words) { return std::system(("ip " + words).c_str()) == 0; }

OutsideLink::OutsideLink(const std::string& name, int mtu, const std::vector<std::string>& addresses) {
  auto tun = open_tun(name, false);
  if (!tun) return;
  tun_ = std::move(*tun);
  made = true;
  for (const auto& address : addresses)
    made = made && ip("address add " + address + " dev " + name +
                      (address.find(':') == std::string::npos ? "" : " nodad"));
  made = made && ip("link set dev " + name + " mtu " + std::to_string(mtu) + " up");
}

void OutsideLink::read() {
  std::array<std::byte, 70'000> room;
  for (;;) {
    const ssize_t got = ::read(tun_.get(), room.data(), room.size());
    if (got < 28) return;
    Passing packet{Octets(room.begin(), room.begin() + got)};
    if (is_fragment(packet.bytes)) {
      fragments.push_back(std::move(packet.bytes));
      continue;
    }
    if (!is_plain(packet.bytes)) continue;  // the kernel's own
    seen.push_back(see(packet));
    packets.push_back(std::move(packet.bytes));
  }
}

void OutsideLink::send(const Octets& packet) { (void)!::write(tun_.get(), packet.data(), packet.size()); }

std::optional<Seen> OutsideLink::take(std::uint16_t to_port) {
  read();
  while (!seen.empty()) {
    auto first = std::move(seen.front());
    seen.pop_front();
    packets.pop_front();
    if (first.to_port == to_port) return first;
  }
  return std::nullopt;
}

}  // namespace nsrun::test
