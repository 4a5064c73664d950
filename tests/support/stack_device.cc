#include "tests/support/stack_device.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>

namespace nsrun::test {

MemoryDevice::MemoryDevice(bool offloads)
    : offloads_(offloads), readable_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Device::ReadStatus MemoryDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  if (to_stack_.empty()) return closed_ ? ReadStatus::closed : ReadStatus::empty;
  const Passing next = std::move(to_stack_.front());
  to_stack_.pop_front();
  if (to_stack_.empty() && !closed_) {
    eventfd_t ignored;
    ::eventfd_read(readable_.get(), &ignored);
  }
  offload = next.offload;
  size = std::min(packet.size(), next.bytes.size());
  if (size > 0) std::memcpy(packet.data(), next.bytes.data(), size);
  return ReadStatus::packet;
}

void MemoryDevice::write(const Offload& offload, std::span<const iovec> parts) {
  Passing packet{{}, offload};
  for (const auto& part : parts) {
    const auto* begin = static_cast<const std::byte*>(part.iov_base);
    packet.bytes.insert(packet.bytes.end(), begin, begin + part.iov_len);
  }
  if (!loses || !loses(packet)) from_stack.push_back(std::move(packet));
}

void MemoryDevice::send(Passing packet) {
  if (diverts && diverts(packet)) return;
  if (to_stack_.empty()) ::eventfd_write(readable_.get(), 1);
  to_stack_.push_back(std::move(packet));
}

void MemoryDevice::close() {
  closed_ = true;
  ::eventfd_write(readable_.get(), 1);
}

}  // namespace nsrun::test
