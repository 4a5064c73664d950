#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "netstack/devices/device.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A capture file in pcapng (draft-ietf-opsawg-pcapng), one interface of raw IP packets, times in nanoseconds.
// For any thread.
class CaptureFile {
 public:
  static Result<std::unique_ptr<CaptureFile>> create(const std::string& path);
  // One packet, written out at once: the file is whole whenever nsrun ends, however it ends.
  void packet(std::span<const iovec> parts, bool from_guest);

 private:
  explicit CaptureFile(UniqueFd file) : file_(std::move(file)) {}
  std::mutex lock_;  // one packet's record at a time
  UniqueFd file_;
};

// Wraps a device: all that passes goes into the file too, as the guest sends and gets it (large packets are
// those that segmentation offload has put together; their checksums are not filled in).
class CapturingDevice final : public Device {
 public:
  CapturingDevice(Device& device, CaptureFile& file) : device_(device), file_(file) {}
  int fd() const override { return device_.fd(); }
  bool offloads() const override { return device_.offloads(); }
  bool segments_udp() const override { return device_.segments_udp(); }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  Device& device_;
  CaptureFile& file_;
};

}  // namespace nsrun
