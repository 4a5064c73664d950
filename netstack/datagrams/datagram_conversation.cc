#include "netstack/datagrams/datagram_conversation.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "netstack/datagrams/datagram_connection.h"
#include "netstack/datagrams/udp_splice.h"
#include "netstack/stack_core.h"

namespace nsrun {

// The first datagram of a flow, and the question what to do about it.
class DatagramRequest final : public Request {
 public:
  DatagramRequest(StackCore& core, DatagramConversation& conversation)
      : core_(core), conversation_(&conversation), key_(conversation.key) {}
  ~DatagramRequest() override {
    if (!conversation_) return;
    conversation_->request_ = nullptr;
    core_.remove(*conversation_);
  }

  const FlowKey& key() const override { return key_; }

  std::unique_ptr<Connection> accept() override {
    if (!conversation_) return nullptr;
    auto& conversation = *std::exchange(conversation_, nullptr);
    conversation.request_ = nullptr;
    conversation.mark_answered();
    return std::make_unique<DatagramConnection>(core_, conversation);
  }

  void refuse(Refusal how) override {
    if (!conversation_) return;
    auto& conversation = *std::exchange(conversation_, nullptr);
    conversation.request_ = nullptr;
    if (how == Refusal::reset) conversation.send_error(IcmpError::port_unreachable);
    if (how == Refusal::host_unreachable) conversation.send_error(IcmpError::host_unreachable);
    if (how == Refusal::network_unreachable) conversation.send_error(IcmpError::network_unreachable);
    if (how == Refusal::prohibited) conversation.send_error(IcmpError::prohibited);
    core_.remove(conversation);
  }

 private:
  friend class DatagramConversation;
  StackCore& core_;
  DatagramConversation* conversation_;
  const FlowKey key_;
};

namespace {
// Bytes that a flow costs without what it holds: itself, its request, its carrier to a socket and its record.
constexpr std::size_t datagram_cost = 2048;
constexpr std::size_t small_datagram = 2048;  // bytes: with so many a flow goes on where memory is short
constexpr std::size_t overhead = 64;  // bytes each datagram costs beside its own: empty ones are bounded too
}  // namespace

DatagramConversation::DatagramConversation(StackCore& core, const FlowKey& key_)
    : Conversation(core, key_, datagram_cost) {
  core_.watch_idle(*this);
}

DatagramConversation::~DatagramConversation() {
  core_.forget_idle(*this);
  core_.to_world_bytes -= waiting_bytes_;
  mark_answered();
  if (request_) request_->conversation_ = nullptr;
  if (connection_) connection_->conversation_gone();
}

void DatagramConversation::mark_answered() {
  if (!std::exchange(answered_, true) && counted_) --core_.held_requests;
}

void DatagramConversation::hold(StackCore& core, const FlowKey& key, const Packet& packet,
                                const Offload& offload, BufferPtr& buffer, const RequestSink& sink) {
  auto fresh = std::make_unique<DatagramConversation>(core, key);
  auto& conversation = *fresh;
  auto request = std::make_unique<DatagramRequest>(core, conversation);
  conversation.request_ = request.get();
  conversation.counted_ = true;
  ++core.held_requests;
  core.insert(std::move(fresh));
  conversation.receive(packet, offload, buffer);
  sink(std::move(request));
}

void DatagramConversation::receive(const Packet& packet, const Offload& offload, BufferPtr& buffer) {
  core_.watch_idle(*this);
  if (key.protocol == Protocol::icmp) {
    std::copy_n(packet.payload().begin(), last_echo_.size(), last_echo_.begin());
    return enqueue(packet.payload());
  }
  dont_fragment_ = packet.dont_fragment;
  const std::size_t said = packet.word(4);  // the UDP header's own length (RFC 768)
  auto payload = packet.payload();
  const bool segmented = offload.segmentation == Offload::segment_udp && offload.segment_size > 0;
  if (said < 8 || (said > payload.size() && !segmented)) return;
  payload = segmented ? payload.subspan(8) : payload.subspan(8, said - 8);
  const std::uint16_t segment = segmented ? offload.segment_size : 0;
  if (splice_) {
    splice_->push(payload, segment, buffer, dont_fragment_);
    return core_.touch(*this);
  }
  if (!segment) return enqueue(payload);
  for (; !payload.empty(); payload = payload.subspan(std::min<std::size_t>(segment, payload.size())))
    enqueue(payload.first(std::min<std::size_t>(segment, payload.size())));
}

void DatagramConversation::enqueue(Bytes datagram) {
  if (waiting_bytes_ + datagram.size() + overhead > max_waiting ||
      core_.to_world_bytes > core_.options().ample_bytes)
    return;
  const bool is_least = waiting_.empty() && datagram.size() <= small_datagram;
  if (!memory_.add(datagram.size() + overhead, is_least ? MemoryUse::progress : MemoryUse::ahead)) return;
  waiting_.emplace_back(datagram.begin(), datagram.end());
  waiting_bytes_ += datagram.size() + overhead;
  core_.to_world_bytes += datagram.size() + overhead;
  core_.touch(*this);
}

std::vector<std::byte> DatagramConversation::dequeue() {
  auto datagram = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= datagram.size() + overhead;
  core_.to_world_bytes -= datagram.size() + overhead;
  memory_.subtract(datagram.size() + overhead);
  return datagram;
}

void DatagramConversation::turn() {
  if (splice_) splice_->turn();
  if (connection_) connection_->turn();
}

void DatagramConversation::send(std::span<const iovec> parts, std::uint16_t segment_size) {
  core_.watch_idle(*this);
  write_udp(core_.device(), key.target, key.source, parts, segment_size);
}

void DatagramConversation::send_echo(MutableBytes message) {
  if (message.size() < 8) return;
  core_.watch_idle(*this);
  write_echo(core_.device(), key.target.address, key.source.address, key.source.port, message);
}

// The guest's kernel finds the socket by the addresses and ports quoted, so a header alone will do.
void DatagramConversation::send_error(const DeliveryError& undelivered) {
  if (undelivered.why == IcmpError::too_big && undelivered.mtu == 0) return;
  std::array<std::byte, 60> quote{};
  const bool v4 = key.source.address.is_v4();
  const bool udp = key.protocol == Protocol::udp;
  const auto protocol = udp ? ip_protocol::udp : v4 ? ip_protocol::icmp : ip_protocol::icmp6;
  const std::size_t ip = make_ip_header(quote.data(), key.source.address, key.target.address, protocol, 8);
  const auto put_word = [&](std::size_t at, std::uint16_t value) {
    quote[ip + at] = static_cast<std::byte>(value >> 8);
    quote[ip + at + 1] = static_cast<std::byte>(value);
  };
  if (udp) {
    put_word(0, key.source.port);
    put_word(2, key.target.port);
    put_word(4, 8);
  } else {
    std::copy(last_echo_.begin(), last_echo_.end(), quote.begin() + static_cast<long>(ip));
    if (undelivered.echo_sequence) put_word(6, *undelivered.echo_sequence);
  }
  const auto about = parse_packet(MutableBytes(quote).first(ip + 8));
  // As the target itself would say that nobody listens; anything else is a router's word.
  const auto& from = undelivered.why == IcmpError::port_unreachable ? key.target.address
                                                                    : core_.router_for(key.source.address);
  if (about) write_icmp_error(core_.device(), undelivered.why, from, *about, undelivered.mtu);
}

void DatagramConversation::end(FlowEnd how) {
  if (splice_) splice_->ended(how);
  core_.remove(*this);
}

}  // namespace nsrun
