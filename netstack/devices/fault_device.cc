// Theory of operation
//
// A packet meets its faults once, when it is read or written. One that is to come late is kept until the next
// of its way has passed, or late_limit: a timer in the same epoll set as the device then makes the set
// readable, and the next read() sends it on. (An epoll set may be in another: epoll_ctl(2); this makes three
// of the five levels that the kernel allows.)

#include "netstack/devices/fault_device.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/result.h"

namespace nsrun {
namespace {

constexpr long late_limit =
    10'000'000;               // nanoseconds: well below the guest's shortest retransmission (200 ms)
constexpr int max_lost = 64;  // packets in a row, before the stack does something else

void watch(int set, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
    throw ErrorException(errno_error("cannot watch the sandbox's device"));
}

}  // namespace

FaultDevice::FaultDevice(Device& device, std::shared_ptr<PacketFaults> faults)
    : device_(device),
      faults_(std::move(faults)),
      number_(faults_->next_device()),
      up_{faults_->chance(number_, SeededRandom::Part::up)},
      down_{faults_->chance(number_, SeededRandom::Part::down)},
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      ready_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!timer_ || !ready_) throw ErrorException(errno_error("cannot make a timer for the sandbox's device"));
  watch(ready_.get(), device_.fd());
  watch(ready_.get(), timer_.get());
}

template <class Pass>
void FaultDevice::meet(const PacketWayFaults& faults, Way& way, Segment segment, Pass pass) {
  // Always as many draws: the same packets meet the same faults whatever else is asked for.
  const bool lost = way.chance.happens(faults.loss), twice = way.chance.happens(faults.duplicate),
             late = way.chance.happens(faults.reorder);
  if (lost) return;
  auto overtaken = std::exchange(way.late, std::nullopt);
  if (twice) pass(segment);
  if (late) {
    way.late = std::move(segment);
    arm();
  } else {
    pass(std::move(segment));
  }
  if (overtaken) pass(std::move(*overtaken));
}

void FaultDevice::arm() {
  itimerspec once{};
  once.it_value.tv_nsec = late_limit;
  ::timerfd_settime(timer_.get(), 0, &once, nullptr);
}

void FaultDevice::pass_late() {
  std::uint64_t expirations;
  if (::read(timer_.get(), &expirations, sizeof expirations) < 0) return;
  if (auto late = std::exchange(up_.late, std::nullopt)) arrived_.push_back(std::move(*late));
  if (const auto late = std::exchange(down_.late, std::nullopt)) pass_down(*late);
}

Device::ReadStatus FaultDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  pass_late();
  const auto spec = faults_->spec();
  for (int reads = 0; arrived_.empty() && reads < max_lost; ++reads) {
    const auto status = device_.read(offload, packet, size);
    if (status != ReadStatus::packet) return status;
    for (auto& segment : segments_of(packet.first(size), offload))
      meet(spec->up, up_, std::move(segment),
           [this](Segment passing) { arrived_.push_back(std::move(passing)); });
  }
  if (arrived_.empty()) return ReadStatus::empty;
  const Segment& first = arrived_.front();
  offload = first.offload;
  size = std::min(first.bytes.size(), packet.size());
  std::copy_n(first.bytes.begin(), size, packet.begin());
  arrived_.pop_front();
  return ReadStatus::packet;
}

void FaultDevice::write(const Offload& offload, std::span<const iovec> parts) {
  std::vector<std::byte> packet;
  for (const iovec& part : parts) {
    const auto* begin = static_cast<const std::byte*>(part.iov_base);
    packet.insert(packet.end(), begin, begin + part.iov_len);
  }
  const auto spec = faults_->spec();
  for (auto& segment : segments_of(packet, offload))
    meet(spec->down, down_, std::move(segment), [this](const Segment& passing) { pass_down(passing); });
}

void FaultDevice::pass_down(const Segment& segment) {
  const iovec whole{const_cast<std::byte*>(segment.bytes.data()), segment.bytes.size()};
  device_.write(segment.offload, {&whole, 1});
}

}  // namespace nsrun
