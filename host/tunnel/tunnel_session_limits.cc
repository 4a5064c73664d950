#include <algorithm>

#include "host/tunnel/session_limits.h"
#include "host/tunnel/tunnel_session.h"

// What a tunnel's session does about a far side that is silent, and about streams that are not read.
// tunnel_session.cc has the theory of it.

namespace nsrun {

using namespace tunnel::limits;
using tunnel::Frame;
using Type = Frame::Type;

namespace {

constexpr std::size_t min_leftover = 64;  // entries; up to here none are looked through

}  // namespace

Task<> TunnelSession::keep_alive() {
  const auto never = Clock::time_point::max();
  const auto limit = options_.silence_limit;
  auto ping_at = options_.ping_interval > 0s ? Clock::now() + options_.ping_interval : never;
  for (;;) {
    const auto look_at =
        limit > 0s ? std::min(last_heard_ + limit, Clock::now() + limit / looks_per_silence) : never;
    Timer timer(executor_, std::min(ping_at, look_at));
    co_await timer.async_wait(use_task);
    look_for_life();
    if (Clock::now() >= ping_at) {
      say({.type = Type::ping});
      ping_at = Clock::now() + options_.ping_interval;
    }
    if (limit > 0s && Clock::now() >= last_heard_ + limit) break;
  }
  end({"the far side of the tunnel is silent", errno_code(ETIMEDOUT)});
  co_await part(WebSocket::going_away, "nothing was heard");
}

// A ping that is sent over a slow network waits behind the streams' bytes, and so does its answer. As long as
// the far side's kernel takes those, it lives. Once it has all of them it has the ping, too, and must answer.
void TunnelSession::look_for_life() {
  const auto life = socket_->life();
  const bool takes_more = life.unacknowledged && life.acknowledged != life_.acknowledged;
  if (takes_more || life.control_frames != life_.control_frames) last_heard_ = Clock::now();
  life_ = life;
}

Task<bool> TunnelSession::is_alive(Clock::duration limit) {
  look_for_life();
  const auto asked_at = last_heard_;
  const auto until = Clock::now() + limit;
  ping_wanted_ = true;
  has_work_.raise();
  while (last_heard_ == asked_at && !ended_ && Clock::now() < until) {
    co_await sleep_for(life_look);
    look_for_life();
  }
  co_return last_heard_ != asked_at;
}

// ---- Of what the far side does wrong not more is reported than somebody can read.

void TunnelSession::trouble(const std::string& what) {
  const auto now = Clock::now();
  if (now - troubles_since_ >= troubles_window) {
    troubles_since_ = now;
    troubles_ = 0;
  }
  if (troubles_++ < max_troubles) return events_.trouble(what);
  if (troubles_ == max_troubles + 1)
    events_.trouble("the tunnel's far side goes on like this; no more is reported for a while");
}

// ---- What was not read yet.

std::size_t TunnelSession::max_held() const { return is_binary() ? max_held_binary : max_held_json; }

// Those that are not read hold up all others, who are.
void TunnelSession::reset_stalled() {
  while (backlog_->bytes > max_held()) {
    const State stalled = find_stalled();
    if (!stalled) return;
    trouble("a stream of the tunnel was not read for too long and held up the others; it was reset");
    if (stalled->hub) break_off(*stalled);
    stalled->break_now();
  }
}

TunnelSession::State TunnelSession::find_stalled() {
  State found;
  const auto read_before = Clock::now() - options_.stall_limit;
  const auto look_at = [&](const State& stream) {
    if (stream && stream->held > (found ? found->held : 0) && stream->last_read <= read_before)
      found = stream;
  };
  for (const auto& [id, stream] : streams_) look_at(stream);
  for (const auto& stream : leftover_) look_at(stream.lock());
  return found;
}

// A stream that is over may still be read, and what it holds counts.
void TunnelSession::keep_leftover(const State& stream) {
  if (!stream || stream->pieces.empty()) return;
  if (leftover_.size() >= prune_leftover_at_) {
    std::erase_if(leftover_, [](const auto& one) { return one.expired(); });
    prune_leftover_at_ = 2 * leftover_.size() + min_leftover;
  }
  leftover_.push_back(stream);
}

// The streams hold as much as they may: TCP holds the far side back until some of it was read.
Task<> TunnelSession::hold_back() {
  auto sign_at = Clock::now() + life_interval;
  backlog_->awaited = true;
  while (backlog_->bytes > max_held()) {
    co_await either(backlog_->shrank.wait(),
                    sleep_for(std::min<Clock::duration>(stall_look, options_.stall_limit)));
    // What the far side says meanwhile is not read, and it may wait for an answer to its pings.
    last_heard_ = Clock::now();
    if (options_.role == Role::server && last_heard_ >= sign_at) {
      say({.type = Type::pong});
      sign_at = last_heard_ + life_interval;
    }
    reset_stalled();
  }
  backlog_->awaited = false;
}

}  // namespace nsrun
