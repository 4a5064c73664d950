#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "netstack/devices/device.h"
#include "runtime/fd.h"

namespace nsrun::test {

// A packet on its way, whole, with what was asked of the device about it.
struct Passing {
  std::vector<std::byte> bytes;
  Offload offload = {};
};

// A device in memory: the test is the kernel on its other side.
class MemoryDevice final : public Device {
 public:
  explicit MemoryDevice(bool offloads);

  int fd() const override { return readable_.get(); }
  bool offloads() const override { return offloads_; }
  bool segments_udp() const override { return offloads_; }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

  void send(Passing packet);  // to the stack
  void close();               // the next read says so
  std::deque<Passing> from_stack;
  std::size_t waiting() const { return to_stack_.size(); }  // not read yet
  // Packets to the stack for which this says true went elsewhere.
  std::function<bool(const Passing&)> diverts;
  // Packets of the stack for which this says true are lost.
  std::function<bool(const Passing&)> loses;

 private:
  const bool offloads_;
  bool closed_ = false;
  UniqueFd readable_;  // eventfd: 1 while packets wait
  std::deque<Passing> to_stack_;
};

}  // namespace nsrun::test
