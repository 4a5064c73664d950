#pragma once

#include <cstdint>
#include <random>
#include <string_view>

namespace nsrun {

// Where a flow's luck comes from: the same seed, rule, flow and part of it give the same numbers, on any
// machine (the standard fixes the generator, but not its distributions, which are therefore ours).
class SeededRandom {
 public:
  // Parts of a flow draw from sources of their own, so that what happens on one way does not depend on when
  // something came by the other.
  enum class Part : std::uint8_t { dial, up, down };
  SeededRandom(std::uint64_t seed, std::string_view rule, std::uint64_t flow, Part part);

  double unit();  // 0 to less than 1
  bool happens(double share) { return unit() < share; }
  double balanced() { return 2 * unit() - 1; }                     // -1 to less than 1
  std::uint64_t between(std::uint64_t least, std::uint64_t most);  // both included

 private:
  std::mt19937_64 source_;
};

}  // namespace nsrun
