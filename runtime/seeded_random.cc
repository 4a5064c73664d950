#include "runtime/seeded_random.h"

#include <algorithm>
#include <vector>

namespace nsrun {

SeededRandom::SeededRandom(std::uint64_t seed, std::string_view rule, std::uint64_t flow, Part part) {
  std::vector<std::uint32_t> all;
  for (const std::uint64_t number : {seed, flow}) {
    all.push_back(static_cast<std::uint32_t>(number));
    all.push_back(static_cast<std::uint32_t>(number >> 32));
  }
  all.push_back(static_cast<std::uint32_t>(part));
  for (const unsigned char letter : rule) all.push_back(letter);
  std::seed_seq sequence(all.begin(), all.end());
  source_.seed(sequence);
}

double SeededRandom::unit() {
  return static_cast<double>(source_() >> 11) * 0x1p-53;  // the 53 bits that a double holds
}

std::uint64_t SeededRandom::between(std::uint64_t least, std::uint64_t most) {
  const auto offset = static_cast<std::uint64_t>(unit() * static_cast<double>(most - least + 1));
  return least + std::min(offset, most - least);
}

}  // namespace nsrun
