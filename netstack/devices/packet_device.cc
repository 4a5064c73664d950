// A frame on this socket: virtio header, Ethernet header, IP packet. The virtio header counts from the
// beginning of the frame, an Offload from that of the packet.
//
// What a TUN device takes and this does not: a packet above the guest's MTU that is not to be segmented (an
// echo reply, a datagram whose pieces the world had put together). The veth driver drops it
// (__is_skb_forwardable in the kernel's net/core/dev.c), so it goes in fragments.
//
// No call can block, whatever the child did to the file's flags: MSG_DONTWAIT.

#include "netstack/devices/packet_device.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "netstack/checksum.h"
#include "netstack/devices/fragments.h"
#include "runtime/network.h"

namespace nsrun {
namespace {

constexpr std::size_t max_parts = 80;

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, level, name, &value, &size) == 0 ? value : -1;
}

sockaddr_ll bound_to(int socket) {
  sockaddr_ll address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

constexpr std::array<std::uint8_t, ETH_ALEN> far_address{0x02, 'w', 'o', 'r', 'l', 'd'};

// Several sockets in a group hear what is sent by us too, before Linux 5.11.
bool is_ours(const ethhdr& frame) {
  return std::equal(far_address.begin(), far_address.end(), frame.h_source);
}

ethhdr frame_header(const iovec& packet) {
  const bool v6 = packet.iov_len > 0 && *static_cast<const std::uint8_t*>(packet.iov_base) >> 4 == 6;
  ethhdr header;
  std::copy(guest_ethernet_address.begin(), guest_ethernet_address.end(), header.h_dest);
  std::copy(far_address.begin(), far_address.end(), header.h_source);
  header.h_proto = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
  return header;
}

// Does what the guest's kernel, or we, left to the device.
void complete_checksum(MutableBytes packet, const Offload& offload) {
  const std::size_t field = std::size_t{offload.checksum_start} + offload.checksum_offset;
  if (field + 2 > packet.size()) return;
  std::uint16_t sum = Checksum().add(packet.subspan(offload.checksum_start)).finished();
  if (sum == 0) sum = 0xffff;  // UDP's 0 means "none" (RFC 768); to all others they are the same
  std::memcpy(&packet[field], &sum, sizeof sum);
}

// Of the transport header behind a plain IP header; a checksum further inside belongs to a tunnel's payload,
// which we pass on as it is.
bool is_outermost_checksum(Bytes packet, std::size_t start) {
  if (packet.empty()) return true;
  const auto first = std::to_integer<std::size_t>(packet[0]);
  return start == (first >> 4 == 4 ? (first & 15) * 4 : 40);
}

std::size_t size_of(std::span<const iovec> parts) {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.iov_len;
  return size;
}

}  // namespace

Result<std::unique_ptr<PacketDevice>> PacketDevice::open(UniqueFd fd, std::size_t mtu) {
  const auto address = bound_to(fd.get());
  const bool right = option(fd.get(), SOL_SOCKET, SO_DOMAIN) == AF_PACKET &&
                     option(fd.get(), SOL_SOCKET, SO_TYPE) == SOCK_RAW &&
                     option(fd.get(), SOL_PACKET, PACKET_VNET_HDR) == 1 && address.sll_ifindex > 0 &&
                     address.sll_hatype == ARPHRD_ETHER && address.sll_protocol == htons(ETH_P_ALL);
  if (!right)
    return Error{"what the sandbox sent is no packet socket on a network device, with virtio headers",
                 errno_code(EINVAL)};
  const int on = 1;
  ::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  return std::unique_ptr<PacketDevice>(new PacketDevice(std::move(fd), mtu));
}

Device::ReadStatus PacketDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  ethhdr frame;
  iovec parts[] = {{&offload, sizeof offload}, {&frame, sizeof frame}, {packet.data(), packet.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  size = 0;
  if (got < 0) return read_error();
  const auto headers = static_cast<ssize_t>(sizeof offload + sizeof frame);
  if (got <= headers || (message.msg_flags & MSG_TRUNC) || is_ours(frame))
    return ReadStatus::packet;  // one nobody can use
  size = static_cast<std::size_t>(got - headers);
  if (offload.flags & Offload::needs_checksum) {
    offload.header_length = static_cast<std::uint16_t>(offload.header_length - sizeof frame);
    offload.checksum_start = static_cast<std::uint16_t>(offload.checksum_start - sizeof frame);
    if (!is_outermost_checksum(packet.first(size), offload.checksum_start))
      complete_checksum(packet.first(size), offload);
  }
  return ReadStatus::packet;
}

Device::ReadStatus PacketDevice::read_error() const {
  if (errno == EAGAIN || errno == EINTR) return ReadStatus::empty;
  if (errno == EINVAL) return ReadStatus::packet;  // one that a virtio header cannot describe: it is lost
  // ENETDOWN: the device is down, for now or with its namespace.
  return bound_to(fd_.get()).sll_ifindex > 0 ? ReadStatus::empty : ReadStatus::closed;
}

void PacketDevice::write(const Offload& offload, std::span<const iovec> parts) {
  if (offload.segmentation == 0 && size_of(parts) > mtu_) return write_fragments(offload, parts);
  if (send(offload, parts)) return;
  if (errno == EINVAL && offload.segmentation == Offload::segment_udp) segments_udp_ = false;
}

bool PacketDevice::send(const Offload& offload, std::span<const iovec> parts) {
  if (parts.empty()) return true;
  ethhdr frame = frame_header(parts.front());
  Offload shifted = offload;
  if (shifted.header_length > 0)
    shifted.header_length = static_cast<std::uint16_t>(shifted.header_length + sizeof frame);
  shifted.checksum_start = static_cast<std::uint16_t>(shifted.checksum_start + sizeof frame);
  std::array<iovec, max_parts + 2> all;
  all[0] = {&shifted, sizeof shifted};
  all[1] = {&frame, sizeof frame};
  const std::size_t count = std::min(parts.size(), max_parts);
  std::copy_n(parts.begin(), count, all.begin() + 2);
  msghdr message{};
  message.msg_iov = all.data();
  message.msg_iovlen = count + 2;
  return ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void PacketDevice::write_fragments(const Offload& offload, std::span<const iovec> parts) {
  std::vector<std::byte> whole;
  whole.reserve(size_of(parts));
  for (const auto& part : parts) {
    const auto* begin = static_cast<const std::byte*>(part.iov_base);
    whole.insert(whole.end(), begin, begin + part.iov_len);
  }
  if (offload.flags & Offload::needs_checksum) complete_checksum(whole, offload);
  for (auto& fragment : fragments_of(whole, mtu_, ++fragment_id_)) {
    const iovec part{fragment.data(), fragment.size()};
    send({}, {&part, 1});
  }
}

}  // namespace nsrun
