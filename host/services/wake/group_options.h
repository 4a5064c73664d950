#pragma once

#include <cstdint>
#include <string>

#include "runtime/task.h"

namespace nsrun {

// How a group wakes and sleeps.
struct WakeGroupOptions {
  enum class Unit : std::uint8_t { bytes, packets };

  std::string name;
  Clock::duration idle = 300s;        // unused for so long it is stopped; 0: never
  Clock::duration start_limit = 60s;  // then waiting clients are refused
  // What counts as use: traffic, both ways, open connections, and new connections.
  bool by_traffic = true, by_connections = false, by_arrivals = true;
  Unit unit = Unit::bytes;
  std::uint64_t least = 1;       // units that have to move within `idle`
  std::uint64_t wake_least = 1;  // packets from clients, within `idle`, that start it
};

// A stream counts so many bytes as a packet: packets themselves are the kernel's.
constexpr std::uint64_t tcp_payload = 1460;
constexpr std::uint64_t packets_of_stream(std::uint64_t bytes) {
  return (bytes + tcp_payload - 1) / tcp_payload;
}

}  // namespace nsrun
