#include "netstack/buffers.h"

#include <algorithm>
#include <utility>

namespace nsrun {

void BufferReturn::operator()(Buffer* buffer) const { buffer->pool->put(buffer); }

BufferPool::~BufferPool() {
  while (free_) delete std::exchange(free_, free_->next);
}

BufferPtr BufferPool::get() {
  if (live_ >= most_) return nullptr;
  Buffer* buffer = free_;
  if (buffer) {
    free_ = buffer->next;
    --free_count_;
    unused_ = std::min(unused_, free_count_);
  } else {
    buffer = new Buffer;  // default-initialised: the bytes are not touched
    buffer->pool = this;
  }
  ++live_;
  buffer->next = nullptr;
  buffer->used = buffer->released = 0;
  return BufferPtr(buffer);
}

void BufferPool::put(Buffer* buffer) {
  --live_;
  if (free_count_ >= warm) {
    delete buffer;
    return;
  }
  buffer->next = free_;
  free_ = buffer;
  ++free_count_;
}

std::size_t BufferPool::trim() {
  const std::size_t freed = unused_;
  for (std::size_t i = 0; i < freed; ++i) delete std::exchange(free_, free_->next);
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

}  // namespace nsrun
