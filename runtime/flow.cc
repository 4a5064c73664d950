#include "runtime/flow.h"

#include <sys/random.h>

#include <cstring>

namespace nsrun {

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::icmp:
      return "icmp";
  }
  return "?";
}

std::string_view to_string(FlowEnd end) {
  switch (end) {
    case FlowEnd::open:
      return "open";
    case FlowEnd::closed:
      return "closed";
    case FlowEnd::reset_by_source:
      return "reset_by_source";
    case FlowEnd::reset_by_target:
      return "reset_by_target";
    case FlowEnd::idle:
      return "idle";
    case FlowEnd::refused:
      return "refused";
    case FlowEnd::failed:
      return "failed";
    case FlowEnd::sandbox_ended:
      return "sandbox_ended";
    case FlowEnd::policy:
      return "policy";
    case FlowEnd::injected:
      return "injected";
  }
  return "?";
}

std::string Target::host() const { return name.empty() ? endpoint.address.to_string() : name; }

std::string Target::to_string() const {
  if (name.find("://") != name.npos) return name;
  const std::string where = name.empty() ? endpoint.to_string() : name + ":" + std::to_string(endpoint.port);
  return std::string(nsrun::to_string(protocol)) + "/" + where;
}

}  // namespace nsrun

// The guest chooses the keys, so the hash is seeded: it cannot aim many flows at one bucket.
std::size_t std::hash<nsrun::FlowKey>::operator()(const nsrun::FlowKey& key) const noexcept {
  static const std::uint64_t seed = [] {
    std::uint64_t value = 0;
    (void)!getrandom(&value, sizeof value, 0);
    return value;
  }();
  const auto word = [](const nsrun::IpAddress& address, int at) {
    std::uint64_t value;
    std::memcpy(&value, address.mapped().data() + at, 8);
    return value;
  };
  const auto mix = [](std::uint64_t state, std::uint64_t value) {
    const auto product = static_cast<unsigned __int128>(state ^ value) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t mixed = mix(seed, word(key.source.address, 8));
  mixed = mix(mixed ^ seed, word(key.source.address, 0));
  mixed = mix(mixed, word(key.target.address, 8));
  mixed = mix(mixed ^ seed, word(key.target.address, 0));
  mixed = mix(mixed, (std::uint64_t{key.source.port} << 32) | (std::uint64_t{key.target.port} << 8) |
                         static_cast<std::uint64_t>(key.protocol));
  return mixed;
}
