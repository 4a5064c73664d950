// Fragments of the guest, in any order and shape. Each step of the input: one byte of kind (IPv6 or not, more
// fragments or not, which packet), one of offset in 8 bytes, one of length, then so many bytes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "netstack/datagrams/reassembly.h"
#include "netstack/packet.h"
#include "runtime/network.h"

namespace {

using namespace nsrun;

void require(bool fact) {
  if (!fact) std::abort();
}

std::vector<std::byte> fragment(std::uint8_t kind, std::uint8_t offset, const std::vector<std::byte>& piece) {
  const NetworkOptions network;
  const bool v6 = kind & 1, more = kind & 2;
  const auto id = static_cast<std::byte>(kind >> 2 & 3);
  std::vector<std::byte> packet(60);
  const std::size_t size = piece.size() + (v6 ? 8 : 0);
  packet.resize(make_ip_header(packet.data(), v6 ? network.guest6 : network.guest4,
                               v6 ? network.gateway6 : network.gateway4, v6 ? 44 : 17, size));
  const std::uint16_t word = static_cast<std::uint16_t>(v6 ? offset << 3 | more : more << 13 | offset);
  const auto high = static_cast<std::byte>(word >> 8), low = static_cast<std::byte>(word);
  if (v6) {
    packet.insert(packet.end(), {std::byte{17}, std::byte{0}, high, low, id, id, id, id});
  } else {
    packet[4] = packet[5] = id;
    packet[6] = high;
    packet[7] = low;
  }
  packet.insert(packet.end(), piece.begin(), piece.end());
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reassembly reassembly;
  Clock::time_point now{};
  while (size >= 3) {
    const std::size_t length = std::min<std::size_t>(data[2], size - 3);
    std::vector<std::byte> piece(length);
    for (std::size_t i = 0; i < length; ++i) piece[i] = static_cast<std::byte>(data[3 + i]);
    auto bytes = fragment(data[0], data[1], piece);
    now += (data[0] & 0x80) ? 20s : 1s;
    data += 3 + length;
    size -= 3 + length;
    const auto packet = parse_packet(bytes);
    if (!packet || !packet->is_fragment) continue;
    const auto whole = reassembly.add(*packet, now);
    require(reassembly.unfinished() <= Reassembly::max_packets);
    if (!whole) continue;
    const auto again = parse_packet(*whole);
    require(again && !again->is_fragment && again->bytes.size() == whole->size());
  }
  return 0;
}
