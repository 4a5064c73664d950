#include "netstack/stack_core.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <limits>

#include "netstack/datagrams/datagram_conversation.h"
#include "netstack/tcp/tcp_conversation.h"
#include "netstack/tcp/tcp_requests.h"

namespace nsrun {
namespace {

// Read from the device in one batch: more large packets would leave the cache before they are passed on, more
// small ones only save wake-ups.
constexpr int max_large = 8, max_small = 64;
constexpr std::size_t small = 2048;  // bytes
constexpr int max_batches = 4;       // before others on the loop get their turn
// Bytes of a new flow, with its first packet and a task that dials.
constexpr std::size_t start_cost = 16 << 10;
constexpr auto surely_idle = 5s;  // then a datagram flow goes where memory is short
constexpr auto stuck_after = 1s;  // without a byte that moved: then a flow may go where memory is out,
constexpr std::size_t max_given_up = 64;  // so many of them
constexpr auto give_up_every = 100ms;     // so often, since each time looks at all flows

}  // namespace

StackCore::StackCore(asio::io_context& context, Device& device, const StackOptions& options, RequestSink sink,
                     Events& events)
    : options_(options),
      own_budget_(std::numeric_limits<std::size_t>::max()),
      own_memory_(own_budget_),
      memory_(options.memory ? *options.memory : own_memory_),
      buffers_(options.max_buffers, memory_),
      context_(context),
      device_(device),
      sink_(std::move(sink)),
      events_(events),
      routes_(asio::use_service<RouteWatch>(context)),
      tcp_output_(device),
      spin_(options.latency, usable_processors()),
      poller_descriptor_(context, poller_.fd()),
      timer_(context, Clock::time_point::max()),
      reassembly_(&memory_) {
  watch(device_.fd(), *this);
  if (options_.group) {
    strays_.emplace(*this);
    watch(strays_->queue.fd(), *strays_);
  }
  last_resort_ = buffers_.get();
}

// What a stack cannot do without.
void StackCore::watch(int fd, Pollable& pollable) {
  if (!poller_.add(fd, EPOLLIN, pollable))
    throw ErrorException(
        errno_error("cannot watch the sandbox's device", "raise fs.epoll.max_user_watches, or free memory"));
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
    } else if (++batches == max_batches) {
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
  if (lacks_memory_ && now_ >= give_up_next_) give_up_stuck_flows();
  flush();
  bury();
}

void StackCore::read_packets() {
  device_ready_ = false;
  watch_buffers();
  for (int large = 0, few = 0; large < max_large && few < max_small;) {
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

void StackCore::give_up_stuck_flows() {
  lacks_memory_ = false;
  give_up_next_ = now_ + give_up_every;
  std::vector<Conversation*> stuck;
  for (Conversation* flow : flows_)
    if (flow->is_stuck_since(now_ - stuck_after)) stuck.push_back(flow);
  const auto newest = stuck.begin() + static_cast<long>(std::min(stuck.size(), max_given_up));
  std::partial_sort(stuck.begin(), newest, stuck.end(),
                    [](auto* a, auto* b) { return a->number > b->number; });
  for (auto flow = stuck.begin(); flow != newest; ++flow) (*flow)->give_up();
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
  // A guest that floods to its last breath is not waited for.
  constexpr int max_turns = 1000;
  constexpr auto longest = 100ms;
  const auto began = Clock::now();
  for (int turns = 0; turns < max_turns && Clock::now() - began < longest; ++turns) {
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
  if (pass_to_flow(*key, packet, offload, buffer)) return;
  if (strays_ && options_.group->pass_on(*key, strays_->queue, packet, offload)) return;
  begin_flow(*key, packet, offload, buffer);
}

// False: the flow is not here, or was over, and the packet is a SYN that asks for another under its key.
bool StackCore::pass_to_flow(const FlowKey& key, const Packet& packet, const Offload& offload,
                             BufferPtr& buffer) {
  Conversation* conversation = find(key);
  if (!conversation) return false;
  const bool asks_again = key.protocol == Protocol::tcp && is_tcp_request(packet) && conversation->is_over();
  if (asks_again)
    set_aside(*conversation);
  else
    conversation->receive(packet, offload, buffer);
  return !asks_again;
}

void StackCore::read_strays() {
  for (auto& stray : strays_->queue.take()) {
    if (stray.taken_over) {
      yield_flow(*stray.taken_over);
      continue;
    }
    const auto packet = parse_packet(stray.packet);
    const auto key = packet ? flow_key(*packet) : std::nullopt;
    if (!key) continue;
    BufferPtr none;
    const bool was_here = find(*key) != nullptr;
    if (pass_to_flow(*key, *packet, stray.offload, none)) continue;
    if (was_here || expected_.contains(*key)) begin_flow(*key, *packet, stray.offload, none);
    // Else its flow has ended meanwhile; it begins none here.
  }
}

void StackCore::begin_flow(const FlowKey& key, const Packet& packet, const Offload& offload,
                           BufferPtr& buffer) {
  if (key.protocol == Protocol::icmp && answer_own_echo(key, packet)) return;
  if (key.protocol == Protocol::tcp) {
    if (!is_tcp_request(packet)) return write_tcp_reset(device_, packet);
    if (size() - datagram_flows_ >= options_.max_tcp_flows) return;
    if (held_requests < options_.max_pending_syns && may_begin()) PendingSyn::hold(*this, key, packet, sink_);
    return;
  }
  if (held_requests >= options_.max_pending_syns) return;
  const bool has_room = memory_.has_room(start_cost, MemoryUse::new_flow);
  if (datagram_flows_ >= options_.max_datagram_flows || !has_room) end_oldest_datagrams(has_room);
  if (!may_begin()) return;
  DatagramConversation::hold(*this, key, packet, offload, buffer, sink_);
}

// Datagram flows have no end of their own, so most that live are over. Where memory is short those go that
// were idle for a while; in a flood none was.
void StackCore::end_oldest_datagrams(bool has_room) {
  if (!idle_first_ || (!has_room && now_ - idle_first_->last_used_ < surely_idle)) return;
  auto* oldest = idle_first_;
  oldest->end(FlowEnd::idle);
  forget_idle(*oldest);
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

Conversation::Conversation(StackCore& core, const FlowKey& flow, std::size_t cost)
    : key(flow), number(core.next_number()), core_(core), memory_(&core.memory()) {
  memory_.add_always(cost);
}

bool StackCore::may_begin() {
  if (memory_.has_room(start_cost, MemoryUse::new_flow)) return true;
  if (memory_.budget().is_first_refusal())
    events_.warning("refusing new flows: existing flows use the memory allowed for the sandbox's network (" +
                    std::to_string(memory_.budget().limit() >> 20) +
                    " MiB; --network-memory sets another limit)");
  return false;
}

Conversation* StackCore::find(const FlowKey& key) { return flows_.find(key); }

bool StackCore::has(const FlowKey& key) {
  return find(key) || (strays_ && options_.group->is_elsewhere(key, strays_->queue));
}

bool StackCore::make_way(const FlowKey& key) {
  if (Conversation* conversation = find(key)) {
    if (conversation->is_over())
      set_aside(*conversation);
    else if (conversation->yields())
      conversation->yield();
    else
      return false;
  }
  if (!strays_ || !options_.group->is_elsewhere(key, strays_->queue)) return true;
  return key.protocol == Protocol::udp && options_.group->take_over(key, strays_->queue);
}

void StackCore::yield_flow(const FlowKey& key) {
  if (Conversation* conversation = find(key); conversation && conversation->yields()) conversation->yield();
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
