#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/tunnel/incoming_stream.h"
#include "host/tunnel/session_limits.h"
#include "host/tunnel/stream_state.h"
#include "host/tunnel/web_socket.h"
#include "host/tunnel/wire.h"

namespace nsrun {

// Streams over one WebSocket. See tunnel_session.cc for how; docs/tunnel.md for the wires.
class TunnelSession final : private tunnel::StreamHub {
 public:
  enum class Role { client, server };
  struct Options {
    Role role = Role::client;
    Clock::duration ping_interval{};  // 0: none are sent
    Clock::duration silence_limit{};  // without a word from the far side for this long it is over; 0: never
    // A stream that is not read for this long, while what it holds keeps the tunnel from being read, is
    // reset.
    Clock::duration stall_limit = tunnel::limits::stall_limit;
  };
  // `events` outlives the session. Binary where the subprotocol was agreed upon.
  TunnelSession(Executor executor, std::unique_ptr<WebSocket> socket, bool binary, Options options,
                TunnelEvents& events);
  ~TunnelSession();

  // Carries streams until the tunnel ends, and says why; all streams are broken then. Cancelled, it says
  // goodbye first.
  Task<Error> run();
  // Ends it: what streams have given to it is sent before.
  void close(std::uint16_t code, std::string reason);
  // Ends it at once, without a word.
  void abort(Error why);
  // Ends it once there is no stream any more.
  void close_when_idle(std::uint16_t code, std::string reason);

  bool is_binary() const { return wire_->is_binary(); }
  // Whether anything comes from the far side within `limit`: it is asked for a sign of life.
  Task<bool> is_alive(Clock::duration limit);
  TcpPath path() const { return socket_->path(); }
  bool has_heard() const { return has_heard_; }      // anything from the far side
  bool has_carried() const { return has_carried_; }  // a stream's bytes from the far side
  std::size_t streams() const { return streams_.size(); }
  void say(const tunnel::Frame& frame);  // about listeners

  // A stream to the far side: for `asked` of the type open or connect; the stream's number is given here.
  // Answered in JSON at once, else when the far side has its own end.
  Task<Result<std::unique_ptr<Connection>>> open(tunnel::Frame asked, Transport transport);

 private:
  friend class IncomingStream;
  using State = std::shared_ptr<tunnel::StreamState>;

  // StreamHub
  void has_something(tunnel::StreamState& stream) override;
  void took(tunnel::StreamState& stream) override;
  void break_off(tunnel::StreamState& stream) override;

  Task<> carry();
  Task<> read_all();
  Task<> write_all();
  Task<> keep_alive();
  Task<> watch_half_closed();
  Task<> part(std::uint16_t code, std::string reason);
  Task<> abort_after(Clock::duration limit);
  void end(Error why);
  void forget_all();

  void take(tunnel::Frame frame);
  void take_data(tunnel::Frame frame);
  void take_stream(tunnel::Frame frame);
  void take_answer(const tunnel::Frame& frame);
  void take_end(const tunnel::Frame& frame);
  void take_credit(const tunnel::Frame& frame);
  State find(std::uint32_t stream) const;
  State add(std::uint32_t stream, Transport transport);
  void forget(tunnel::StreamState& stream);
  void forget_if_done(tunnel::StreamState& stream);
  void overflow(const State& stream);
  std::size_t max_held() const;
  void reset_stalled();
  State find_stalled();
  void trouble(const std::string& what);
  void keep_leftover(const State& stream);
  bool holds_close(tunnel::StreamState& stream);

  bool gather();
  void give_turn(tunnel::StreamState& stream);
  void send_pending(tunnel::StreamState& stream);
  void send_end(tunnel::StreamState& stream);
  Task<> hold_back();
  void look_for_life();
  std::uint32_t next_id();

  const Executor executor_;
  const std::unique_ptr<WebSocket> socket_;
  const std::unique_ptr<tunnel::Wire> wire_;
  const Options options_;
  TunnelEvents& events_;

  std::unordered_map<std::uint32_t, State> streams_;
  std::vector<std::weak_ptr<tunnel::StreamState>>
      leftover_;  // closed by the far side, and not read to the end
  std::size_t prune_leftover_at_ = 0;
  const std::shared_ptr<tunnel::Backlog> backlog_;
  std::uint32_t last_id_ = 0;
  tunnel::Batch said_;  // what is to be sent beside streams' bytes
  tunnel::Batch sending_;
  std::deque<State> turns_;                                     // streams with something to send, each once
  std::deque<std::weak_ptr<tunnel::StreamState>> half_closed_;  // JSON: whose close waits
  Clock::time_point last_heard_ = Clock::now();
  bool has_heard_ = false, has_carried_ = false;
  WebSocket::Life life_;      // at the last look
  std::size_t troubles_ = 0;  // since then
  Clock::time_point troubles_since_;
  bool ping_wanted_ = false;  // of the WebSocket's own
  std::optional<Error> ended_;
  std::optional<std::pair<std::uint16_t, std::string>> goodbye_;  // once all that was said is sent
  bool when_idle_ = false;
  Signal has_work_, drained_, half_close_;
};

}  // namespace nsrun
