#include "netstack/devices/fragments.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "netstack/checksum.h"

namespace nsrun {
namespace {

using Fragment = std::vector<std::byte>;

constexpr std::size_t header4 = 20, header6 = 40, fragment_header = 8;  // bytes

void put_fragment_word(Fragment& into, std::size_t at, std::size_t value) {
  into[at] = static_cast<std::byte>(value >> 8);
  into[at + 1] = static_cast<std::byte>(value);
}

// `offset` in bytes, a multiple of 8.
Fragment fragment4(Bytes packet, Bytes piece, std::size_t offset, bool more, std::uint32_t id) {
  Fragment made(packet.begin(), packet.begin() + header4);
  put_fragment_word(made, 2, header4 + piece.size());
  put_fragment_word(made, 4, id & 0xffff);
  put_fragment_word(made, 6, (more ? 0x2000u : 0u) | offset / 8);
  put_fragment_word(made, 10, 0);
  const std::uint16_t sum = Checksum().add(made).finished();
  std::memcpy(&made[10], &sum, sizeof sum);
  made.insert(made.end(), piece.begin(), piece.end());
  return made;
}

Fragment fragment6(Bytes packet, Bytes piece, std::size_t offset, bool more, std::uint32_t id) {
  constexpr std::byte fragment_protocol{44};
  Fragment made(packet.begin(), packet.begin() + header6);
  made.resize(header6 + fragment_header);
  put_fragment_word(made, 4, fragment_header + piece.size());
  made[header6] = made[6];
  made[6] = fragment_protocol;
  put_fragment_word(made, header6 + 2, offset | (more ? 1u : 0u));
  put_fragment_word(made, header6 + 4, id >> 16);
  put_fragment_word(made, header6 + 6, id & 0xffff);
  made.insert(made.end(), piece.begin(), piece.end());
  return made;
}

}  // namespace

std::vector<Fragment> fragments_of(Bytes packet, std::size_t mtu, std::uint32_t id) {
  if (packet.empty()) return {};
  const bool v6 = (packet[0] >> 4) == std::byte{6};
  const std::size_t header = v6 ? header6 : header4;
  const std::size_t overhead = v6 ? header6 + fragment_header : header4;
  if (packet.size() <= header || mtu < overhead + 8) return {};
  const std::size_t room = (mtu - overhead) / 8 * 8;
  const Bytes payload = packet.subspan(header);
  std::vector<Fragment> fragments;
  for (std::size_t offset = 0; offset < payload.size(); offset += room) {
    const Bytes piece = payload.subspan(offset, std::min(room, payload.size() - offset));
    const bool more = offset + piece.size() < payload.size();
    fragments.push_back((v6 ? fragment6 : fragment4)(packet, piece, offset, more, id));
  }
  return fragments;
}

}  // namespace nsrun
