#include <malloc.h>

#include <boost/asio/this_coro.hpp>

#include "netstack/datagrams/datagram_conversation.h"
#include "netstack/stack_core.h"
#include "netstack/tcp/tcp_conversation.h"

// StackCore's timers: late acknowledgements, lwIP's slow timer, idle conversations, idle memory. One clock
// runs while something is due.

namespace nsrun {
namespace {

constexpr auto late_ack = 4ms;  // an acknowledgement that no data carries waits at most about twice this
constexpr auto idle_check = 1s;
constexpr std::size_t worth_trimming = 32 << 20;  // bytes given back by all since the last time
constexpr auto trim_check = 2s;                   // buffers not used for so long go back

}  // namespace

void StackCore::due_within(Clock::time_point& due, Clock::duration delay) {
  if (due != Clock::time_point::max()) return;
  due = Clock::now() + delay;
  if (due < timer_.expiry()) timer_.expires_at(due);  // wakes run_clock, which waits for the new time
}

void StackCore::owe_ack(Conversation& conversation) {
  if (std::exchange(conversation.ack_owed_, true)) return;
  owing_.push_back(&conversation);
  due_within(acks_due_, late_ack);
}

void StackCore::watch_timers(TcpConversation& conversation) {
  if (std::exchange(conversation.timed_, true)) return;
  timed_.push_back(&conversation);
  due_within(tcp_due_, lwip_slow_tick);
}

void StackCore::watch_idle(DatagramConversation& conversation) {
  forget_idle(conversation);
  conversation.last_used_ = now_;
  conversation.idle_before_ = idle_last_;
  (idle_last_ ? idle_last_->idle_after_ : idle_first_) = &conversation;
  idle_last_ = &conversation;
  ++datagram_flows_;
  due_within(idle_due_, idle_check);
}

void StackCore::forget_idle(DatagramConversation& conversation) {
  auto *before = conversation.idle_before_, *after = conversation.idle_after_;
  if (!before && !after && idle_first_ != &conversation) return;  // not in the list
  (before ? before->idle_after_ : idle_first_) = after;
  (after ? after->idle_before_ : idle_last_) = before;
  conversation.idle_before_ = conversation.idle_after_ = nullptr;
  --datagram_flows_;
}

Task<> StackCore::run_clock() {
  for (;;) {
    co_await timer_.async_wait(use_result);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    now_ = Clock::now();
    if (acks_due_ <= now_) send_late_acks();
    if (tcp_due_ <= now_) run_tcp_timers();
    if (idle_due_ <= now_) end_idle_flows();
    if (trim_due_ <= now_) trim_buffers();
    timer_.expires_at(std::min({acks_due_, tcp_due_, idle_due_, trim_due_}));
    bury();
  }
}

void StackCore::send_late_acks() {
  acks_due_ = Clock::time_point::max();
  for (Conversation* conversation : std::exchange(owing_, {})) {
    conversation->ack_owed_ = false;
    if (!conversation->removed_) conversation->acknowledge_late();
  }
}

void StackCore::run_tcp_timers() {
  tcp_due_ = Clock::time_point::max();
  const auto timed = std::exchange(timed_, {});
  std::vector<LwipFlow*> inside;
  for (TcpConversation* conversation : timed) {
    Conversation& base = *conversation;
    base.timed_ = false;
    if (!base.removed_) inside.push_back(conversation);
  }
  const auto resolve = [](void* core, const pbuf* packet) {
    return static_cast<StackCore*>(core)->flow_of_segment(*packet);
  };
  LwipTimers::run(clock_, inside, resolve, this);
  tcp_output_.write();
  for (TcpConversation* conversation : timed) {
    Conversation& base = *conversation;
    if (!base.removed_) touch(*conversation);
  }
}

// The timer sends retransmissions and probes without saying whose: the addresses and ports tell.
LwipFlow* StackCore::flow_of_segment(const pbuf& packet) {
  const auto* bytes = static_cast<const std::uint8_t*>(packet.payload);
  const bool v4 = bytes[0] >> 4 == 4;
  const auto* ports = bytes + (v4 ? 20 : 40);
  const auto port = [&](int at) { return static_cast<std::uint16_t>(ports[at] << 8 | ports[at + 1]); };
  const Endpoint from{v4 ? IpAddress::v4_from(bytes + 12) : IpAddress::v6_from(bytes + 8), port(0)};
  const Endpoint to{v4 ? IpAddress::v4_from(bytes + 16) : IpAddress::v6_from(bytes + 24), port(2)};
  return dynamic_cast<TcpConversation*>(find({Protocol::tcp, to, from}));
}

void StackCore::watch_buffers() { due_within(trim_due_, trim_check); }

void StackCore::trim_buffers() {
  trim_due_ = Clock::time_point::max();
  const std::size_t charged = memory_.budget().used();
  max_charged_ = std::max(max_charged_, charged);
  const bool much_was_freed = max_charged_ - charged > worth_trimming;
  if (buffers_.trim() > 0 || much_was_freed) {
    max_charged_ = charged;
    if (small_datagrams.empty()) small_datagrams.shrink_to_fit();
    ::malloc_trim(0);  // to the system, not only to the heap
  }
  if (buffers_.has_free()) due_within(trim_due_, trim_check);
}

void StackCore::end_idle_flows() {
  idle_due_ = Clock::time_point::max();
  while (idle_first_ && now_ - idle_first_->last_used_ >= options_.udp_idle) {
    auto* oldest = idle_first_;
    oldest->end(FlowEnd::idle);
    forget_idle(*oldest);
  }
  if (idle_first_) due_within(idle_due_, idle_check);
}

}  // namespace nsrun
