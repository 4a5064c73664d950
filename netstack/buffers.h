#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "lwip/pbuf.h"
#include "netstack/devices/device.h"
#include "runtime/bytes.h"
#include "runtime/memory_budget.h"

namespace nsrun {

class BufferPool;

// Room for one packet as the device hands it over, or for one block of bytes on their way to the guest.
// lwIP can hold it as a pbuf without a copy; freeing that pbuf gives it back to its pool.
struct Buffer {
  pbuf_custom custom{};  // first: lwIP frees through it
  BufferPool* pool = nullptr;
  Buffer* next = nullptr;      // in the pool, or in its owner's chain
  std::uint32_t used = 0;      // bytes filled, where its owner fills it piece by piece
  std::uint32_t released = 0;  // bytes of these no longer needed
  alignas(64) std::array<std::byte, max_packet + 25> bytes;  // rounded up to a multiple of 64

  MutableBytes all() { return bytes; }
};

struct BufferReturn {
  void operator()(Buffer* buffer) const;
};
using BufferPtr = std::unique_ptr<Buffer, BufferReturn>;

// Last in, first out, so the next buffer is warm in the cache. Bounded: past `most` live buffers, or where
// the memory budget refuses, get() gives nothing and the packet is lost, which its sender repairs; past
// `warm` free ones memory goes back, and trim() gives back what has not been used for a while. A buffer is
// charged when it is allocated, not each time that it is lent.
class BufferPool {
 public:
  static constexpr std::size_t warm = 64;  // buffers kept free: 4 MiB

  BufferPool(std::size_t most, MemoryShare& memory) : most_(most), memory_(memory) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;

  BufferPtr get(MemoryUse use = MemoryUse::progress);
  void put(Buffer* buffer);
  std::size_t live() const { return live_; }  // given out and not returned
  // Frees those that nobody has used since the last trim; how many.
  std::size_t trim();
  bool has_free() const { return free_count_ > 0; }

  // The buffer as a pbuf over `bytes`, which lie in it (at most 65,535). lwIP owns the buffer from here on.
  static pbuf* as_pbuf(BufferPtr buffer, MutableBytes bytes);
  // A copy of `bytes`, no larger than they are, as a pbuf; charged until lwIP frees it. Null: there is no
  // memory.
  pbuf* copy(Bytes bytes, MemoryUse use);

 private:
  struct Copy;
  bool allocate(MemoryUse use);
  void free(Buffer* buffer);

  Buffer* free_ = nullptr;
  const std::size_t most_;
  MemoryShare& memory_;
  std::size_t free_count_ = 0;
  std::size_t unused_ = 0;  // the fewest that were free at once since the last trim
  std::size_t live_ = 0;
};

}  // namespace nsrun
