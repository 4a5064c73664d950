#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "netstack/devices/packet_faults.h"
#include "netstack/devices/segments.h"
#include "runtime/fd.h"

namespace nsrun {

// Wraps a device: packets on their way are lost, doubled, or overtaken by the next one. What segmentation
// offload has put together is taken apart first, so that a packet is what it would be on a link of the
// guest's MTU; that costs most of the throughput.
class FaultDevice final : public Device {
 public:
  FaultDevice(Device& device, std::shared_ptr<PacketFaults> faults);
  int fd() const override { return ready_.get(); }
  bool offloads() const override { return device_.offloads(); }
  bool segments_udp() const override { return device_.segments_udp(); }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  struct Way {
    SeededRandom chance;
    std::optional<Segment> late = {};  // waits for the next to go first
  };
  template <class Pass>
  void meet(const PacketWayFaults& faults, Way& way, Segment segment, Pass pass);
  void pass_down(const Segment& segment);
  void arm();
  void pass_late();  // those that nobody overtook in time

  Device& device_;
  const std::shared_ptr<PacketFaults> faults_;
  const std::uint64_t number_;
  Way up_, down_;
  std::deque<Segment> arrived_;  // from the guest, to be read
  UniqueFd timer_, ready_;       // ready_: an epoll set of the device and the timer
};

}  // namespace nsrun
