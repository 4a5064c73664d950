#pragma once

#include "runtime/bytes.h"

namespace nsrun {

// What a checksum is there to find. `where`: 0 to less than 1 of the way through the bytes.
inline void flip_bit(MutableBytes bytes, double where) {
  if (bytes.empty()) return;
  const auto bit = static_cast<std::size_t>(where * static_cast<double>(bytes.size() * 8));
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

}  // namespace nsrun
