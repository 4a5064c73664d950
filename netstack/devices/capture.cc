#include "netstack/devices/capture.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "netstack/packet.h"

namespace nsrun {
namespace {

constexpr std::uint16_t linktype_raw = 101;  // begins with an IPv4 or IPv6 header
constexpr std::size_t max_named = 65'536;    // addresses; then names are written anew

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

// Of a block or a record, after its value: up to the next multiple of four.
void pad(std::string& bytes) { bytes.append((4 - bytes.size() % 4) % 4, '\0'); }

template <class Number>
void put(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// An option of a block, or a record of a name resolution block: both are a code, a length and a value.
void put_option(std::string& bytes, std::uint16_t code, std::string_view value) {
  put(bytes, code);
  put(bytes, static_cast<std::uint16_t>(value.size()));
  bytes += value;
  pad(bytes);
}

constexpr std::uint16_t comment_option = 1, flags_option = 2;
constexpr std::uint32_t inbound = 1, outbound = 2;  // as the guest sees it: to it, from it

std::string packet_options(bool from_guest, std::string_view comment) {
  std::string options;
  if (!comment.empty()) put_option(options, comment_option, comment);
  std::string flags;
  put(flags, from_guest ? outbound : inbound);
  put_option(options, flags_option, flags);
  put_option(options, 0, {});
  return options;
}

std::string name_resolution(const IpAddress& address, const std::string& name) {
  constexpr std::uint32_t block_type = 4;
  constexpr std::uint16_t ipv4_record = 1, ipv6_record = 2;
  std::string value(reinterpret_cast<const char*>(address.data()), address.size());
  value.append(name).push_back('\0');
  std::string records;
  put_option(records, address.is_v4() ? ipv4_record : ipv6_record, value);
  put_option(records, 0, {});
  std::string block;
  const auto length = static_cast<std::uint32_t>(records.size() + 12);
  put(block, block_type);
  put(block, length);
  block += records;
  put(block, length);
  return block;
}

bool opens_connection(const Packet& packet) {
  constexpr std::size_t min_header = 20;  // of TCP, bytes
  if (packet.protocol != ip_protocol::tcp || packet.is_fragment || packet.payload().size() < min_header)
    return false;
  return (tcp_flags(packet) & (TcpFlags::syn | TcpFlags::ack)) == TcpFlags::syn;
}

}  // namespace

Result<void> Capture::start(const std::string& path) {
  const std::lock_guard hold(lock_);
  if (file_) return Error{"a capture is being written already", {}, "stop that one first"};
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return errno_error("cannot write the capture file " + path);
  const struct {
    SectionHeader section;
    InterfaceDescription interface;
  } __attribute__((packed)) head;
  if (::write(file.get(), &head, sizeof head) != static_cast<ssize_t>(sizeof head))
    return errno_error("cannot write the capture file " + path);
  file_ = std::move(file);
  running_ = true;
  return {};
}

bool Capture::stop() {
  const std::lock_guard hold(lock_);
  const bool was_running = running_.exchange(false);
  file_.reset();
  named_.clear();
  return was_running;
}

void Capture::to_guest(std::span<const iovec> parts) {
  const std::lock_guard hold(lock_);
  if (file_) write(parts, false, {});
}

void Capture::from_guest(MutableBytes bytes) {
  const std::lock_guard hold(lock_);
  if (!file_) return;
  const iovec part{bytes.data(), bytes.size()};
  write({&part, 1}, true, comment_on(bytes));
}

// What is to be said about a packet of the guest's; the name of its target is written down by the way.
std::string Capture::comment_on(MutableBytes bytes) {
  const auto packet = name_of_ ? parse_packet(bytes) : std::nullopt;
  if (!packet) return {};
  const bool opens = opens_connection(*packet);
  const bool is_new = !named_.contains(packet->target);
  if (!opens && !is_new) return {};
  std::string name = name_of_(packet->target);
  if (!name.empty() && is_new) {
    if (named_.size() >= max_named) named_.clear();
    named_.insert(packet->target);
    const auto block = name_resolution(packet->target, name);
    (void)!::write(file_.get(), block.data(), block.size());
  }
  return opens ? name : std::string{};
}

void Capture::write(std::span<const iovec> parts, bool from_guest, std::string_view comment) {
  std::array<iovec, 84> all;
  const std::size_t count = std::min<std::size_t>(parts.size(), 80);
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size += static_cast<std::uint32_t>(parts[i].iov_len);
  std::uint32_t padding = (4 - size % 4) % 4, zeros = 0;
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  std::string options = packet_options(from_guest, comment);
  EnhancedPacket head;
  head.length = static_cast<std::uint32_t>(sizeof head + size + padding + options.size() + 4);
  head.time_high = static_cast<std::uint32_t>(now >> 32);
  head.time_low = static_cast<std::uint32_t>(now);
  head.captured = head.original = size;
  put(options, head.length);
  all[0] = {&head, sizeof head};
  std::copy_n(parts.begin(), count, all.begin() + 1);
  all[count + 1] = {&zeros, padding};
  all[count + 2] = {options.data(), options.size()};
  (void)!::writev(file_.get(), all.data(), static_cast<int>(count + 3));
}

Device::ReadStatus CapturingDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  const auto status = device_.read(offload, packet, size);
  if (status == ReadStatus::packet && capture_.is_running()) capture_.from_guest(packet.first(size));
  return status;
}

void CapturingDevice::write(const Offload& offload, std::span<const iovec> parts) {
  if (capture_.is_running()) capture_.to_guest(parts);
  device_.write(offload, parts);
}

}  // namespace nsrun
