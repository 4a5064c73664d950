#include "netstack/datagrams/reassembly.h"

#include <algorithm>
#include <cstring>

#include "netstack/checksum.h"

namespace nsrun {
namespace {

constexpr std::size_t max_payload = 65'535;  // bytes
constexpr std::size_t piece_cost = 96;       // bytes: what a fragment costs beside its payload

// The header that a packet which never was fragmented would have had.
std::vector<std::byte> unfragmented_header(const Packet& fragment) {
  const auto bytes = fragment.bytes;
  if (fragment.is_v4()) return {bytes.begin(), bytes.begin() + static_cast<long>(fragment.header)};
  std::vector<std::byte> header(bytes.begin(), bytes.begin() + static_cast<long>(fragment.fragment_header));
  // The byte that named the fragment header now names what followed it.
  std::size_t names_next = 6;
  for (std::size_t at = 40; at < header.size(); at += (std::to_integer<std::size_t>(header[at + 1]) + 1) * 8)
    names_next = at;
  header[names_next] = static_cast<std::byte>(fragment.protocol);
  return header;
}

}  // namespace

Reassembly::Unfinished& Reassembly::find_or_begin(const Key& key, Clock::time_point now) {
  while (!packets_.empty() && now - packets_.front().began > lifetime) packets_.pop_front();
  const auto found =
      std::find_if(packets_.begin(), packets_.end(), [&](const auto& packet) { return packet.key == key; });
  if (found != packets_.end()) return *found;
  if (packets_.size() >= max_packets) packets_.pop_front();
  return packets_.emplace_back(Unfinished{key, now, {}, {}, {}, 0, 0, MemoryCharge(memory_)});
}

bool Reassembly::insert(Unfinished& packet, const Packet& fragment) {
  const auto bytes = fragment.payload();
  const std::size_t begin = fragment.fragment_offset, end = begin + bytes.size();
  // Every piece but the last is a multiple of 8 bytes long (RFC 791 3.2).
  if (bytes.empty() || end > max_payload || (fragment.more_fragments && bytes.size() % 8 != 0)) return false;
  const auto after = packet.pieces.lower_bound(begin);
  if (after != packet.pieces.end() && after->first < end)
    return after->first == begin && after->second == end;
  if (after != packet.pieces.begin() && std::prev(after)->second > begin) return false;
  if (!fragment.more_fragments) {
    if (packet.total != 0 && packet.total != end) return false;
    packet.total = end;
  }
  if (packet.total != 0 && std::max(end, packet.payload.size()) > packet.total) return false;
  const std::size_t room = packet.payload.capacity();
  const std::size_t wanted = end > room ? std::min(std::max(end, 2 * room), max_payload) : room;
  if (!packet.memory.add(wanted - room + piece_cost, MemoryUse::ahead)) return false;
  packet.payload.reserve(wanted);
  if (packet.payload.size() < end) packet.payload.resize(end);
  std::memcpy(packet.payload.data() + begin, bytes.data(), bytes.size());
  packet.pieces.emplace(begin, end);
  packet.covered += bytes.size();
  if (begin == 0) packet.header = unfragmented_header(fragment);
  return true;
}

MutableBytes Reassembly::finish(Unfinished& packet, bool v4) {
  whole_ = std::move(packet.header);
  const std::size_t header = whole_.size();
  whole_.insert(whole_.end(), packet.payload.begin(), packet.payload.end());
  const auto put_word = [this](std::size_t at, std::size_t value) {
    whole_[at] = static_cast<std::byte>(value >> 8);
    whole_[at + 1] = static_cast<std::byte>(value);
  };
  if (v4) {
    put_word(2, whole_.size());
    put_word(6, 0);
    put_word(10, 0);
    const auto sum = Checksum().add(Bytes(whole_).first(header)).finished();
    std::memcpy(&whole_[10], &sum, sizeof sum);
  } else {
    put_word(4, whole_.size() - 40);
  }
  return whole_;
}

std::optional<MutableBytes> Reassembly::add(const Packet& fragment, Clock::time_point now) {
  // RFC 791 tells packets apart by protocol too; in IPv6 every fragment but the first may name another.
  const std::uint8_t protocol = fragment.is_v4() ? fragment.protocol : 0;
  const Key key{fragment.source, fragment.target, fragment.fragment_id, protocol};
  Unfinished& packet = find_or_begin(key, now);
  const auto forget = [&] { packets_.remove_if([&](const auto& other) { return other.key == key; }); };
  if (!insert(packet, fragment)) {
    forget();
    return std::nullopt;
  }
  if (packet.total == 0 || packet.covered != packet.total || packet.header.empty()) return std::nullopt;
  if (packet.header.size() + packet.total > max_payload + (fragment.is_v4() ? 0u : 40u)) {
    forget();
    return std::nullopt;
  }
  const auto whole = finish(packet, fragment.is_v4());
  forget();
  return whole;
}

}  // namespace nsrun
