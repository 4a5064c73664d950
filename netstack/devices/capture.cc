#include "netstack/devices/capture.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

namespace nsrun {
namespace {

constexpr std::uint16_t linktype_raw = 101;  // begins with an IPv4 or IPv6 header

struct SectionHeader {
  std::uint32_t type = 0x0A0D0D0A, length = 28, byte_order = 0x1A2B3C4D;
  std::uint16_t major = 1, minor = 0;
  std::uint64_t section_length = ~0ull;  // not given
  std::uint32_t length_again = 28;
} __attribute__((packed));

struct InterfaceDescription {
  std::uint32_t type = 1, length = 32;
  std::uint16_t link_type = linktype_raw, reserved = 0;
  std::uint32_t snap_length = 0;  // unlimited
  std::uint16_t option_resolution = 9, option_length = 1;
  std::uint32_t resolution = 9;  // 10^-9 s
  std::uint32_t end_of_options = 0;
  std::uint32_t length_again = 32;
} __attribute__((packed));

struct EnhancedPacket {
  std::uint32_t type = 6, length = 0, interface = 0, time_high = 0, time_low = 0, captured = 0, original = 0;
} __attribute__((packed));

struct EnhancedPacketEnd {
  std::uint16_t option_flags = 2, option_length = 4;
  std::uint32_t flags = 0;  // 1: inbound (to the guest), 2: outbound
  std::uint32_t end_of_options = 0;
  std::uint32_t length_again = 0;
} __attribute__((packed));

}  // namespace

Result<std::unique_ptr<CaptureFile>> CaptureFile::create(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return errno_error("cannot write the capture file " + path);
  const struct {
    SectionHeader section;
    InterfaceDescription interface;
  } __attribute__((packed)) head;
  if (::write(file.get(), &head, sizeof head) != static_cast<ssize_t>(sizeof head))
    return errno_error("cannot write the capture file " + path);
  return std::unique_ptr<CaptureFile>(new CaptureFile(std::move(file)));
}

void CaptureFile::packet(std::span<const iovec> parts, bool from_guest) {
  const std::lock_guard hold(lock_);
  std::array<iovec, 83> all;
  const std::size_t count = std::min<std::size_t>(parts.size(), 80);
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size += static_cast<std::uint32_t>(parts[i].iov_len);
  std::uint32_t padding = (4 - size % 4) % 4, zeros = 0;
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  EnhancedPacket head;
  EnhancedPacketEnd tail;
  head.length = tail.length_again = static_cast<std::uint32_t>(sizeof head + size + padding + sizeof tail);
  head.time_high = static_cast<std::uint32_t>(now >> 32);
  head.time_low = static_cast<std::uint32_t>(now);
  head.captured = head.original = size;
  tail.flags = from_guest ? 2 : 1;
  all[0] = {&head, sizeof head};
  std::copy_n(parts.begin(), count, all.begin() + 1);
  all[count + 1] = {&zeros, padding};
  all[count + 2] = {&tail, sizeof tail};
  (void)!::writev(file_.get(), all.data(), static_cast<int>(count + 3));
}

Device::ReadStatus CapturingDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  const auto status = device_.read(offload, packet, size);
  if (status == ReadStatus::packet) {
    const iovec part{packet.data(), size};
    file_.packet({&part, 1}, true);
  }
  return status;
}

void CapturingDevice::write(const Offload& offload, std::span<const iovec> parts) {
  file_.packet(parts, false);
  device_.write(offload, parts);
}

}  // namespace nsrun
