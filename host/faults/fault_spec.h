#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netstack/devices/packet_faults.h"
#include "runtime/address.h"
#include "runtime/result.h"

namespace nsrun {

// When a flow has come so far: after so many bytes one way, or so long after it was open.
struct FaultPoint {
  std::optional<std::uint64_t> bytes;
  std::optional<std::chrono::nanoseconds> time;
  bool operator==(const FaultPoint&) const = default;
};

struct Stall {
  FaultPoint after;
  std::optional<std::chrono::nanoseconds> lasting;  // nothing: for good
  bool operator==(const Stall&) const = default;
};

// What goes wrong on one way of a flow. Shares are 0 to 1, of datagrams (or of queries and answers).
struct WayFaults {
  std::chrono::nanoseconds latency{0};
  std::chrono::nanoseconds jitter{0};             // latency is that much more or less, evenly spread
  std::uint64_t bandwidth = 0;                    // bits of payload a second; 0: as many as come
  std::uint64_t slice_least = 0, slice_most = 0;  // bytes of a stream that pass at once; 0: as they come
  std::chrono::nanoseconds slice_delay{0};        // from one slice to the next
  std::optional<Stall> stall;
  std::optional<FaultPoint> reset_after, close_after;
  std::chrono::nanoseconds close_delay{0};  // of a stream's end, beside its latency
  double loss = 0, duplicate = 0, reorder = 0, corrupt = 0;
};

// Everything that one rule does to its flows, or to the answers about its names.
struct FaultSpec {
  WayFaults up, down;                // away from the guest, and to it
  double refuse = 0, blackhole = 0;  // share of flows
  std::chrono::nanoseconds syn_delay{0};
  double nxdomain = 0, servfail = 0;  // share of answers
  std::vector<IpAddress> answers;     // in place of a name's own
  PacketFaultSpec packets;            // of all packets of the guest's, whatever their flow
  std::string text;                   // as it was written
};

// Faults as they are written, on the command line and in policy files:
//
//   FAULT[,FAULT…]   FAULT: [up:|down:]NAME[=VALUE], or packets:[up:|down:]NAME=SHARE
//
// A fault without up: or down: is of both ways; latency and jitter are then those of a round trip, half on
// each way. nsrun(1) explains each. Errors say what was expected instead.
Result<FaultSpec> parse_faults(std::string_view text);

// The kinds of flow that faults can be asked for.
enum class FaultTarget : std::uint8_t { any, stream, datagram, name, packets };
// Nothing, or why some fault of `spec` cannot happen to such flows.
Result<void> check_faults(const FaultSpec& spec, FaultTarget target);

}  // namespace nsrun
