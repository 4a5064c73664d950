#include "netstack/datagrams/udp_splice.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "netstack/stack_core.h"

namespace nsrun {
namespace {

constexpr std::size_t max_copied_payload = 2048;  // bytes
constexpr std::size_t max_messages = 64;          // of one sendmmsg or recvmmsg
constexpr std::size_t max_gso_segments = 64;   // UDP_MAX_SEGMENTS of kernels before 6.9 (include/linux/udp.h)
constexpr std::size_t max_coalesced = 65'000;  // bytes in one packet, headers left out
constexpr std::size_t receive_size = 65'536;
// Datagrams to the guest at once, after which others may run: a socket there holds some 90 of an Ethernet's
// size (net.core.rmem_default), and what comes before its program has run is lost. On 2 processors that
// doubles what arrives. (Towards the world it halves it: the guest, who sends, runs instead.)
constexpr std::size_t burst = 8;

// Room for one recvmmsg, shared by all flows of this thread's stacks: it holds nothing between calls.
struct Receive {
  // Not cleared: only the pages that datagrams touch become memory.
  std::unique_ptr<std::byte[]> bytes =
      std::make_unique_for_overwrite<std::byte[]>(max_messages * receive_size);
  std::array<mmsghdr, max_messages> messages;
  std::array<iovec, max_messages> parts;
  alignas(cmsghdr) std::array<std::array<char, CMSG_SPACE(sizeof(int))>, max_messages> control;

  int from(int socket, unsigned most) {
    for (unsigned i = 0; i < most; ++i) {
      parts[i] = {bytes.get() + i * receive_size, receive_size};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = control[i].data();
      messages[i].msg_hdr.msg_controllen = control[i].size();
    }
    return ::recvmmsg(socket, messages.data(), most, MSG_DONTWAIT, nullptr);
  }
  // The size of each datagram that the kernel put together in message i; 0: it is one datagram.
  std::uint16_t segment(std::size_t i) {
    msghdr& header = messages[i].msg_hdr;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
      int size;
      std::memcpy(&size, CMSG_DATA(c), sizeof size);
      return static_cast<std::uint16_t>(size);
    }
    return 0;
  }
};

Receive& receive_room() {
  thread_local Receive room;
  return room;
}

std::size_t datagrams(std::size_t bytes, std::size_t segment) {
  return segment == 0 ? 1 : (bytes + segment - 1) / segment;
}

}  // namespace

// One sendmmsg in the making.
struct Outgoing {
  std::array<mmsghdr, max_messages> messages;
  std::array<iovec, max_messages * 8> parts;
  alignas(cmsghdr) std::array<std::array<char, CMSG_SPACE(sizeof(std::uint16_t))>, max_messages> control;
  std::size_t count = 0, used_parts = 0;

  std::uint16_t segment(std::size_t i) const {
    if (messages[i].msg_hdr.msg_controllen == 0) return 0;
    std::uint16_t size = 0;
    std::memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(&messages[i].msg_hdr)), sizeof size);
    return size;
  }
  bool full() const { return count == max_messages || used_parts + max_gso_segments > parts.size(); }
  void close(std::size_t first_part, std::uint16_t segment) {
    msghdr& header = messages[count].msg_hdr;
    messages[count] = {};
    header.msg_iov = parts.data() + first_part;
    header.msg_iovlen = used_parts - first_part;
    if (segment != 0) {
      header.msg_control = control[count].data();
      header.msg_controllen = control[count].size();
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof segment);
      std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    ++count;
  }
};

UdpSplice::UdpSplice(StackCore& core, DatagramConversation& conversation, UniqueFd socket,
                     std::unique_ptr<FlowRecord> record, bool far_asked)
    : core_(core),
      conversation_(conversation),
      socket_(std::move(socket)),
      record_(std::move(record)),
      far_asked_(far_asked),
      route_(core.routes()) {
  record_->carried_by(this);
  const int on = 1;
  if (core_.device().segments_udp()) ::setsockopt(socket_.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
}

bool UdpSplice::begin() {
  if (!core_.poller().add(socket_.get(), EPOLLIN | EPOLLET, *this)) return false;
  drain_waiting();
  return true;
}

bool UdpSplice::fits(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return ::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_UDP;
}

UdpSplice::~UdpSplice() {
  core_.poller().remove(socket_.get());  // a forked process may still have it (epoll(7))
}

void UdpSplice::ready(std::uint32_t) {
  readable_ = true;
  core_.touch(conversation_);
}

// What came before the flow was answered goes first.
void UdpSplice::drain_waiting() {
  BufferPtr none;
  while (!conversation_.waiting_.empty()) {
    auto datagram = conversation_.dequeue();
    push(datagram, 0, none, conversation_.dont_fragment_);
  }
}

void UdpSplice::keep_whole(bool dont_fragment) {
  if (!pending_.empty()) to_socket();
  dont_fragment_ = dont_fragment;
  const int how = dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT;
  ::setsockopt(socket_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof how);
}

void UdpSplice::push(MutableBytes payload, std::uint16_t segment, BufferPtr& buffer, bool dont_fragment) {
  if (dont_fragment != dont_fragment_) keep_whole(dont_fragment);
  if (payload.size() <= max_copied_payload || !buffer) {
    auto& small = core_.small_datagrams;
    pending_.push_back({nullptr, small.size(), {}, payload.size(), segment});
    small.insert(small.end(), payload.begin(), payload.end());
  } else {
    pending_.push_back({std::move(buffer), 0, payload, payload.size(), segment});
  }
}

Bytes UdpSplice::bytes_of(const Pending& pending) const {
  return pending.buffer ? pending.in_buffer
                        : Bytes(core_.small_datagrams).subspan(pending.offset, pending.size);
}

void UdpSplice::turn() {
  if (!pending_.empty()) to_socket();
  if (readable_) to_guest();
}

// Puts pending datagrams from `first` on into one message: as many of one size as may go together. The next.
std::size_t UdpSplice::gather(std::size_t first, Outgoing& out) {
  const std::size_t first_part = out.used_parts;
  const auto put = [&](const Pending& p) {
    const Bytes bytes = bytes_of(p);
    // Small ones lie one behind the other: one piece is enough for a run of them.
    if (out.used_parts > first_part) {
      iovec& last = out.parts[out.used_parts - 1];
      if (static_cast<const std::byte*>(last.iov_base) + last.iov_len == bytes.data()) {
        last.iov_len += bytes.size();
        return;
      }
    }
    out.parts[out.used_parts++] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  };
  put(pending_[first]);
  std::size_t next = first + 1;
  if (pending_[first].segment != 0) {
    out.close(first_part, pending_[first].segment);
    return next;
  }
  const std::size_t size = pending_[first].size;
  std::size_t total = size;
  bool shorter = size == 0;  // a shorter one can only be the last
  while (!shorter && next < pending_.size() && next - first < max_gso_segments) {
    const Pending& candidate = pending_[next];
    if (candidate.segment != 0 || candidate.size == 0 || candidate.size > size) break;
    if (total + candidate.size > max_coalesced) break;
    shorter = candidate.size < size;
    total += candidate.size;
    put(candidate);
    ++next;
  }
  out.close(first_part, next - first > 1 ? static_cast<std::uint16_t>(size) : 0);
  return next;
}

void UdpSplice::to_socket() {
  route_.follow(socket_.get(), core_.now());
  Moved moved;
  for (std::size_t next = 0; next < pending_.size();) {
    Outgoing out;
    while (next < pending_.size() && !out.full()) next = gather(next, out);
    send(out, moved);
  }
  pending_.clear();
  if (moved.datagrams == 0) return;
  far_asked_ ? record_->moved_down(moved.bytes, moved.datagrams)
             : record_->moved_up(moved.bytes, moved.datagrams);
}

void UdpSplice::send(Outgoing& out, Moved& moved) {
  bool recovered = false;
  std::size_t retries = max_messages;  // each takes one error that had come; they come without end
  for (std::size_t sent = 0; sent < out.count;) {
    const int done = ::sendmmsg(socket_.get(), out.messages.data() + sent,
                                static_cast<unsigned>(out.count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
    for (int i = 0; i < done; ++i, ++sent) {
      moved.bytes += out.messages[sent].msg_len;
      moved.datagrams += datagrams(out.messages[sent].msg_len, out.segment(sent));
    }
    if (done > 0 || errno == EINTR) continue;
    const int number = errno;
    if (number == EAGAIN) {
      ++sent;
      continue;
    }
    // An error that an earlier datagram brought back is told once, and this one tried again; any other means
    // that this message is lost, unless a new route helps.
    const Told told = tell_errors();
    const bool is_earlier = told.from_path || (!told.any && number == ECONNREFUSED);
    if (!is_earlier && !std::exchange(recovered, true) && route_.recover(socket_.get(), number) == 0)
      continue;
    if (!told.any) send_failed(number);
    if (is_earlier && --retries > 0) continue;
    // Too large, or too many, to be cut on the way out (udp(7)): they go one by one, as they came.
    if (number == EINVAL || number == EMSGSIZE || number == EIO)
      send_singly(out.messages[sent].msg_hdr, moved);
    ++sent;
  }
}

void UdpSplice::send_singly(const msghdr& message, Moved& moved) {
  if (message.msg_controllen == 0) return;
  std::uint16_t segment = 0;
  std::memcpy(&segment, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof segment);
  std::vector<std::byte> whole;
  for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
    const auto* begin = static_cast<const std::byte*>(message.msg_iov[i].iov_base);
    whole.insert(whole.end(), begin, begin + message.msg_iov[i].iov_len);
  }
  for (std::size_t at = 0; at < whole.size(); at += segment) {
    const std::size_t size = std::min<std::size_t>(segment, whole.size() - at);
    if (::send(socket_.get(), whole.data() + at, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
      tell_errors();
      continue;
    }
    moved.bytes += size;
    ++moved.datagrams;
  }
}

void UdpSplice::send_failed(int number) {
  if (const auto undelivered = undelivered_for(number)) conversation_.send_error(*undelivered);
}

UdpSplice::Told UdpSplice::tell_errors() {
  Told told;
  for (std::size_t count = 0; count < max_messages; ++count) {
    const auto undelivered = take_undelivered(socket_.get());
    if (!undelivered) break;
    told.any = true;
    told.from_path |= undelivered->from_path;
    // No router says so of what it may fragment (RFC 1812 5.2.7.1); our kernel has heard it.
    const bool may_be_cut = conversation_.key.target.address.is_v4() && !dont_fragment_;
    if (undelivered->why == IcmpError::too_big && may_be_cut) continue;
    conversation_.send_error(*undelivered);
  }
  return told;
}

void UdpSplice::to_guest() {
  auto& room = receive_room();
  const int got = room.from(socket_.get(), max_messages);
  if (got < 0) {
    if (errno == EAGAIN) {
      readable_ = false;
    } else {
      // The error is taken; there may be datagrams behind it.
      if (const int number = errno; !tell_errors().any) send_failed(number);
      core_.touch(conversation_);
    }
    return;
  }
  const auto count = static_cast<std::size_t>(got);
  std::uint64_t bytes = 0, packets = 0;
  std::array<iovec, max_gso_segments> parts;
  for (std::size_t i = 0; i < count;) {
    const std::size_t size = room.messages[i].msg_len;
    const std::uint16_t segment = room.segment(i);
    std::size_t used = 0, total = 0;
    bool last = false;
    // One datagram, or those put together by the kernel; then more of the same size, up to a shorter one.
    do {
      const std::size_t next = room.messages[i].msg_len;
      parts[used++] = {room.parts[i].iov_base, next};
      total += next;
      last = next < size || size == 0 || segment != 0 || !core_.device().segments_udp();
      ++i;
    } while (!last && i < count && used < max_gso_segments && room.segment(i) == 0 &&
             room.messages[i].msg_len <= size && room.messages[i].msg_len > 0 &&
             total + room.messages[i].msg_len <= max_coalesced);
    const std::size_t each = segment != 0 ? segment : size;
    conversation_.send({parts.data(), used}, total > each ? static_cast<std::uint16_t>(each) : 0);
    bytes += total;
    packets += datagrams(total, total > each ? each : 0);
  }
  far_asked_ ? record_->moved_up(bytes, packets) : record_->moved_down(bytes, packets);
  if (packets >= burst) ::sched_yield();
  if (count == max_messages)
    core_.touch(conversation_);
  else
    readable_ = false;
}

}  // namespace nsrun
