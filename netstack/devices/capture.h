#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "netstack/devices/device.h"
#include "runtime/address.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A capture, which can be begun and ended at any time, into files in pcapng (draft-ietf-opsawg-pcapng): one
// interface of raw IP packets, times in nanoseconds. Names that are known of the guest's peers stand in it
// twice: as the name of the address (a name resolution block), and as a comment on each SYN of the guest's.
// For any thread.
class Capture {
 public:
  // The name that the guest means by an address; empty: it is not known. For any thread.
  using NameOf = std::function<std::string(const IpAddress&)>;
  explicit Capture(NameOf name_of = {}) : name_of_(std::move(name_of)) {}

  // Into a fresh file. An error where one is being written, or cannot be.
  Result<void> start(const std::string& path);
  bool stop();  // false: none was being written
  bool is_running() const { return running_.load(std::memory_order_relaxed); }

  // One packet, written out at once: the file is whole whenever nsrun ends, however it ends.
  void from_guest(MutableBytes packet);
  void to_guest(std::span<const iovec> parts);

 private:
  std::string comment_on(MutableBytes packet);
  void write(std::span<const iovec> parts, bool from_guest, std::string_view comment);

  const NameOf name_of_;
  std::atomic<bool> running_ = false;
  std::mutex lock_;  // of all below; one packet's record at a time
  UniqueFd file_;
  std::unordered_set<IpAddress> named_;  // addresses whose names are in the file
};

// Wraps a device: all that passes goes into the capture too, while there is one, as the guest sends and gets
// it (large packets are those that segmentation offload has put together; their checksums are not filled in).
class CapturingDevice final : public Device {
 public:
  CapturingDevice(Device& device, Capture& capture) : device_(device), capture_(capture) {}
  int fd() const override { return device_.fd(); }
  bool offloads() const override { return device_.offloads(); }
  bool segments_udp() const override { return device_.segments_udp(); }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  Device& device_;
  Capture& capture_;
};

}  // namespace nsrun
