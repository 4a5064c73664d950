#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "netstack/packet.h"
#include "runtime/memory_budget.h"
#include "runtime/task.h"

namespace nsrun {

// Puts fragments back together (RFC 791 3.2, RFC 8200 4.5), IPv4 and IPv6 alike, within bounds: the oldest
// unfinished packet goes when there are too many, each goes after its time, and overlapping fragments are an
// attack, not traffic: they end their packet (RFC 5722).
class Reassembly {
 public:
  static constexpr std::size_t max_packets = 64;    // unfinished at once: at most 4 MiB
  static constexpr Clock::duration lifetime = 15s;  // RFC 791 suggests 15 s, RFC 8200 allows 60

  // Unfinished packets are charged to `memory`, and end where it refuses.
  explicit Reassembly(MemoryShare* memory = nullptr) : memory_(memory) {}

  // The whole packet once its last piece is here: an unfragmented one, valid until the next call.
  std::optional<MutableBytes> add(const Packet& fragment, Clock::time_point now);
  std::size_t unfinished() const { return packets_.size(); }

 private:
  using Key = std::tuple<IpAddress, IpAddress, std::uint32_t, std::uint8_t>;  // source, target, id, protocol
  struct Unfinished {
    Key key;
    Clock::time_point began;
    std::vector<std::byte> header;  // of the first fragment, without the fragment header
    std::vector<std::byte> payload;
    std::map<std::size_t, std::size_t> pieces;  // offset → end, bytes of payload; disjoint
    std::size_t covered = 0;                    // bytes of all pieces
    std::size_t total = 0;                      // bytes of payload; 0 until the last fragment is here
    MemoryCharge memory;
  };

  Unfinished& find_or_begin(const Key& key, Clock::time_point now);
  static bool insert(Unfinished& packet, const Packet& fragment);
  MutableBytes finish(Unfinished& packet, bool v4);

  MemoryShare* const memory_;
  std::list<Unfinished> packets_;  // oldest first; short, so searched in line
  std::vector<std::byte> whole_;
};

}  // namespace nsrun
