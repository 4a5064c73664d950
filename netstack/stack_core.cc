#include "netstack/stack_core.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "netstack/datagrams/datagram_conversation.h"
#include "netstack/tcp/tcp_conversation.h"
#include "netstack/tcp/tcp_requests.h"

namespace nsrun {
namespace {

// Read from the device in one batch: more large packets would leave the cache before they are passed on, more
// small ones only save wake-ups.
constexpr int most_large = 8, most_small = 64;
constexpr std::size_t small = 2048;  // bytes
constexpr int most_batches = 4;      // before others on the loop get their turn

}  // namespace

StackCore::StackCore(asio::io_context& context, Device& device, const StackOptions& options, RequestSink sink,
                     Events& events)
    : options_(options),
      buffers_(options.most_buffers),
      context_(context),
      device_(device),
      sink_(std::move(sink)),
      events_(events),
      tcp_output_(device),
      spin_(options.latency, usable_processors()),
      poller_descriptor_(context, poller_.fd()),
      timer_(context, Clock::time_point::max()) {
  poller_.add(device_.fd(), EPOLLIN, *this);
  if (options_.group) {
    strays_.emplace(*this);
    poller_.add(strays_->queue.fd(), EPOLLIN, *strays_);
  }
  last_resort_ = buffers_.get();
}

StackCore::~StackCore() {
  poller_descriptor_.release();  // the poller closes it
  // Conversations look into the core while they go: the table goes while the rest still stands.
  for (auto& conversation : flows_.take_all()) {
    if (strays_) options_.group->release(conversation->key, strays_->queue);
    removed_.push_back(std::move(conversation));
  }
  for (auto& conversation : aside_) removed_.push_back(std::move(conversation));
  aside_.clear();
  for (auto& conversation : removed_) conversation->removed_ = true;
  touched_.clear();
  removed_.clear();
}

// ---- the loop

Task<> StackCore::run() {
  for (int batches = 0; !device_closed_; turn()) {
    if (is_idle() && !look_on()) {
      if (!co_await sleep()) co_return;
      batches = 0;
    } else if (++batches == most_batches) {
      co_await asio::post(context_.get_executor(), use_task);
      batches = 0;
    }
  }
}

Task<bool> StackCore::sleep() {
  const auto since = Clock::now();
  sleeping_ = true;
  co_await poller_descriptor_.async_wait(Descriptor::wait_read, use_result);
  sleeping_ = false;
  spin_.paused(Clock::now() - since, true);
  // Cut short by touch(), or by our owner?
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() == asio::cancellation_type::none;
}

bool StackCore::look_on() {
  const auto budget = spin_.budget();
  if (budget == Clock::duration::zero()) return false;
  const auto since = Clock::now();
  for (auto now = since; now - since < budget; now = Clock::now()) {
    poller_.poll();
    if (is_idle()) continue;
    spin_.paused(now - since, false);
    return true;
  }
  return false;
}

void StackCore::turn() {
  now_ = Clock::now();
  poller_.poll();
  if (device_ready_) read_packets();
  flush();
  bury();
}

void StackCore::read_packets() {
  device_ready_ = false;
  watch_buffers();
  for (int large = 0, few = 0; large < most_large && few < most_small;) {
    // When memory is out, packets are still read, and copied if they are worth it: the guest's
    // acknowledgements are what frees it.
    auto buffer = buffers_.get();
    const MutableBytes room = (buffer ? buffer : last_resort_)->all();
    Offload offload;
    std::size_t size = 0;
    const auto status = device_.read(offload, room, size);
    if (status == Device::ReadStatus::closed) {
      device_closed_ = true;
      poller_.remove(device_.fd());
    }
    if (status != Device::ReadStatus::packet) return;
    ++(size > small ? large : few);
    deliver(room.first(size), offload, buffer);
  }
  device_ready_ = true;  // there may be more
}

void StackCore::flush() {
  touched_now_.swap(touched_);
  const std::size_t sent = small_datagrams.size();  // once every flow that was touched has had its turn
  for (Conversation* conversation : touched_now_) {
    conversation->touched_ = false;
    if (!conversation->removed_) conversation->turn();
  }
  touched_now_.clear();
  if (small_datagrams.size() == sent) small_datagrams.clear();
}

void StackCore::bury() {
  if (removed_.empty()) return;
  const bool named = std::any_of(removed_.begin(), removed_.end(), [](const auto& c) { return c->touched_; });
  if (named) std::erase_if(touched_, [](const Conversation* c) { return c->removed_; });
  auto gone = std::exchange(removed_, {});
  // Those that a timer list still names wait for it.
  for (auto& conversation : gone)
    if (conversation->ack_owed_ || conversation->timed_) removed_.push_back(std::move(conversation));
}

void StackCore::touch(Conversation& conversation) {
  if (conversation.touched_ || conversation.removed_) return;
  conversation.touched_ = true;
  touched_.push_back(&conversation);
  wake();
}

void StackCore::wake() {
  if (std::exchange(sleeping_, false)) poller_descriptor_.cancel();
}

std::size_t StackCore::unfinished() {
  constexpr int most_turns = 1000;  // a guest that floods to its last breath is not waited for
  for (int turns = 0; turns < most_turns; ++turns) {
    turn();
    if (is_idle()) break;
  }
  std::size_t count = 0;
  for (const Conversation* flow : flows_) count += flow->is_unfinished();
  for (const auto& flow : aside_) count += flow->is_unfinished();
  return count;
}

// ---- packets

void StackCore::deliver(MutableBytes bytes, const Offload& offload, BufferPtr& buffer) {
  const auto packet = parse_packet(bytes);
  if (!packet || packet->target.is_multicast() || packet->target.is_unspecified() ||
      packet->source.is_multicast() || packet->source.is_unspecified())
    return;
  const bool to_us =
      options_.network.is_gateway(packet->target) || options_.network.is_name_server(packet->target);
  if (packet->hop_limit <= 1 && !to_us)
    return write_icmp_error(device_, IcmpError::time_exceeded, router_for(packet->source), *packet);
  if (!packet->is_fragment) return deliver_flow(*packet, offload, buffer);

  const auto whole = reassembly_.add(*packet, now_);
  const auto reassembled = whole ? parse_packet(*whole) : std::nullopt;
  BufferPtr none;  // its bytes are not in a buffer: whoever keeps them copies
  if (reassembled && !reassembled->is_fragment) deliver_flow(*reassembled, {}, none);
}

void StackCore::deliver_flow(const Packet& packet, const Offload& offload, BufferPtr& buffer) {
  const auto key = flow_key(packet);
  if (!key) {
    const bool quiet = packet.protocol == ip_protocol::icmp || packet.protocol == ip_protocol::icmp6 ||
                       packet.protocol == ip_protocol::tcp || packet.protocol == ip_protocol::udp;
    if (!quiet) write_icmp_error(device_, IcmpError::prohibited, router_for(packet.source), packet);
    return;
  }
  if (Conversation* conversation = find(*key)) {
    const bool anew = key->protocol == Protocol::tcp && tcp_flags(packet) == TcpFlags::syn;
    if (!anew || !conversation->is_over()) return conversation->receive(packet, offload, buffer);
    set_aside(*conversation);
  }
  if (strays_ && options_.group->pass_on(*key, strays_->queue, packet, offload)) return;
  begin_flow(*key, packet, offload, buffer);
}

void StackCore::read_strays() {
  for (auto& stray : strays_->queue.take()) {
    const auto packet = parse_packet(stray.packet);
    const auto key = packet ? flow_key(*packet) : std::nullopt;
    if (!key) continue;
    BufferPtr none;
    if (Conversation* conversation = find(*key))
      conversation->receive(*packet, stray.offload, none);
    else if (expected_.contains(*key))
      begin_flow(*key, *packet, stray.offload, none);
    // Else its flow has ended meanwhile; it begins none here.
  }
}

void StackCore::begin_flow(const FlowKey& key, const Packet& packet, const Offload& offload,
                           BufferPtr& buffer) {
  if (key.protocol == Protocol::icmp && answer_own_echo(key, packet)) return;
  if (key.protocol == Protocol::tcp) {
    constexpr auto kind = TcpFlags::syn | TcpFlags::ack | TcpFlags::reset | TcpFlags::fin;
    if ((tcp_flags(packet) & kind) != TcpFlags::syn) return write_tcp_reset(device_, packet);
    if (size() - datagram_flows_ >= options_.most_tcp_flows) return;
    if (held_requests < options_.most_held) HeldSyn::hold(*this, key, packet, sink_);
    return;
  }
  if (held_requests >= options_.most_held) return;
  if (datagram_flows_ >= options_.most_datagram_flows && idle_first_) {
    auto* oldest = idle_first_;
    oldest->end(FlowEnd::idle);
    forget_idle(*oldest);
  }
  DatagramConversation::hold(*this, key, packet, offload, buffer, sink_);
}

// The gateway and the name server are us: their echo is ours to answer.
bool StackCore::answer_own_echo(const FlowKey& key, const Packet& packet) {
  const auto& network = options_.network;
  if (!network.is_gateway(key.target.address) && !network.is_name_server(key.target.address)) return false;
  auto message = packet.payload();
  message[0] = std::byte{static_cast<std::uint8_t>(packet.is_v4() ? 0 : 129)};  // echo reply
  write_echo(device_, key.target.address, key.source.address, key.source.port, message);
  return true;
}

void StackCore::answer_refusal(Refusal how, const Packet& packet) {
  const auto& router = router_for(packet.source);
  switch (how) {
    case Refusal::reset:
      return write_tcp_reset(device_, packet);
    case Refusal::host_unreachable:
      return write_icmp_error(device_, IcmpError::host_unreachable, router, packet);
    case Refusal::network_unreachable:
      return write_icmp_error(device_, IcmpError::network_unreachable, router, packet);
    case Refusal::prohibited:
      return write_icmp_error(device_, IcmpError::prohibited, router, packet);
    case Refusal::drop:
      return;
  }
}

const IpAddress& StackCore::router_for(const IpAddress& source) const {
  return source.is_v4() ? options_.network.gateway4 : options_.network.gateway6;
}

// ---- flows

Conversation* StackCore::find(const FlowKey& key) { return flows_.find(key); }

bool StackCore::has(const FlowKey& key) {
  return find(key) || (strays_ && options_.group->is_elsewhere(key, strays_->queue));
}

void StackCore::insert(std::unique_ptr<Conversation> conversation) {
  const FlowKey& key = conversation->key;
  if (strays_) options_.group->claim(key, strays_->queue);
  flows_.insert(std::move(conversation));
}

void StackCore::expect(const FlowKey& key) {
  if (!strays_) return;
  options_.group->claim(key, strays_->queue);
  expected_.insert(key);
}

void StackCore::expect_no_more(const FlowKey& key) {
  if (expected_.erase(key) > 0 && !find(key)) options_.group->release(key, strays_->queue);
}

void StackCore::remove(Conversation& conversation) {
  if (conversation.removed_) return;
  conversation.removed_ = true;
  if (auto taken = flows_.take(conversation)) {
    if (strays_) options_.group->release(conversation.key, strays_->queue);
    removed_.push_back(std::move(taken));
  } else {
    const auto same = [&](const auto& other) { return other.get() == &conversation; };
    const auto aside = std::find_if(aside_.begin(), aside_.end(), same);
    if (aside == aside_.end()) return;
    removed_.push_back(std::move(*aside));
    aside_.erase(aside);
  }
  wake();  // outside a batch nothing would bury it soon
}

void StackCore::set_aside(Conversation& conversation) {
  if (strays_) options_.group->release(conversation.key, strays_->queue);
  aside_.push_back(flows_.take(conversation));
}

void StackCore::replace(Conversation& old, std::unique_ptr<Conversation> fresh) {
  remove(old);
  insert(std::move(fresh));
}

}  // namespace nsrun
