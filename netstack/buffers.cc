#include "netstack/buffers.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace nsrun {

void BufferReturn::operator()(Buffer* buffer) const { buffer->pool->put(buffer); }

// A small packet with a pbuf in front.
struct BufferPool::Copy {
  pbuf_custom custom{};  // first: lwIP frees through it
  BufferPool* pool;
  std::size_t charged;  // bytes

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

BufferPool::~BufferPool() {
  while (free_) free(std::exchange(free_, free_->next));
}

void BufferPool::free(Buffer* buffer) {
  delete buffer;
  memory_.give_back(sizeof(Buffer));
}

bool BufferPool::allocate(MemoryUse use) {
  if (!memory_.take(sizeof(Buffer), use)) return false;
  free_ = new Buffer;  // default-initialised: the bytes are not touched
  free_->pool = this;
  ++free_count_;
  return true;
}

BufferPtr BufferPool::get(MemoryUse use) {
  if (live_ >= most_ || (!free_ && !allocate(use))) return nullptr;
  Buffer* buffer = free_;
  free_ = buffer->next;
  --free_count_;
  unused_ = std::min(unused_, free_count_);
  ++live_;
  buffer->next = nullptr;
  buffer->used = buffer->released = 0;
  return BufferPtr(buffer);
}

void BufferPool::put(Buffer* buffer) {
  --live_;
  if (free_count_ >= warm) {
    free(buffer);
    return;
  }
  buffer->next = free_;
  free_ = buffer;
  ++free_count_;
}

std::size_t BufferPool::trim() {
  const std::size_t freed = unused_;
  for (std::size_t i = 0; i < freed; ++i) free(std::exchange(free_, free_->next));
  free_count_ -= freed;
  unused_ = free_count_;
  return freed;
}

pbuf* BufferPool::as_pbuf(BufferPtr buffer, MutableBytes bytes) {
  Buffer* raw = buffer.release();
  raw->custom.custom_free_function = [](pbuf* p) {
    auto* owner = reinterpret_cast<Buffer*>(p);
    owner->pool->put(owner);
  };
  return pbuf_alloced_custom(PBUF_RAW, static_cast<u16_t>(bytes.size()), PBUF_REF, &raw->custom, bytes.data(),
                             static_cast<u16_t>(bytes.size()));
}

pbuf* BufferPool::copy(Bytes bytes, MemoryUse use) {
  constexpr std::size_t beside = 64;  // bytes: the allocator's own, and lwIP's note of a segment out of order
  const std::size_t cost = sizeof(Copy) + bytes.size() + beside;
  if (!memory_.take(cost, use)) return nullptr;
  void* room = std::malloc(sizeof(Copy) + bytes.size());
  if (!room) return memory_.give_back(cost), nullptr;
  auto* copy = new (room) Copy{.pool = this, .charged = cost};
  std::memcpy(copy->bytes(), bytes.data(), bytes.size());
  copy->custom.custom_free_function = [](pbuf* p) {
    auto* done = reinterpret_cast<Copy*>(p);
    done->pool->memory_.give_back(done->charged);
    std::free(done);
  };
  const auto size = static_cast<u16_t>(bytes.size());
  return pbuf_alloced_custom(PBUF_RAW, size, PBUF_REF, &copy->custom, copy->bytes(), size);
}

}  // namespace nsrun
