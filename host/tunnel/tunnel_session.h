#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "host/tunnel/stream_state.h"
#include "host/tunnel/web_socket.h"
#include "host/tunnel/wire.h"

namespace nsrun {

class TunnelSession;

// A stream that the far side asks for. Exactly one of accept and refuse is called; one that goes without
// either is refused in silence.
class TunnelArrival {
 public:
  TunnelArrival(TunnelSession& session, std::shared_ptr<tunnel::StreamState> stream, tunnel::Frame asked)
      : session_(session), stream_(std::move(stream)), asked_(std::move(asked)) {}
  ~TunnelArrival();
  TunnelArrival(const TunnelArrival&) = delete;

  // What is asked for: a frame of the type open or connect.
  const tunnel::Frame& asked() const { return asked_; }
  Transport transport() const { return stream_->transport; }
  std::unique_ptr<Connection> accept();  // null: the far side has left meanwhile
  void refuse(tunnel::Reason reason);

 private:
  TunnelSession& session_;                       // gone where stream_->hub is null
  std::shared_ptr<tunnel::StreamState> stream_;  // null: it was answered
  const tunnel::Frame asked_;
};

// What a session's owner does about what the far side says. Called by the reader: nothing here may wait.
class TunnelEvents {
 public:
  virtual ~TunnelEvents() = default;
  // A server is asked to listen, or not to any more: by listener, in JSON by port.
  virtual void asked_to_listen(const tunnel::Frame& frame) { (void)frame; }
  virtual void asked_to_stop(std::uint32_t listener) { (void)listener; }
  // listen_ok or listen_err.
  virtual void listen_answered(const tunnel::Frame& frame) { (void)frame; }
  virtual void stream_asked(std::unique_ptr<TunnelArrival> arrival) = 0;
  virtual void trouble(const std::string& what) { (void)what; }
};

// Streams over one WebSocket. See tunnel_session.cc for how; docs/tunnel.md for the wires.
class TunnelSession final : private tunnel::StreamHub {
 public:
  enum class Role { client, server };
  struct Options {
    Role role = Role::client;
    Clock::duration ping_interval{};  // 0: none are sent
    Clock::duration silence_limit{};  // without a word from the far side for this long it is over; 0: never
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
  // Ends it once there is no stream any more.
  void close_when_idle(std::uint16_t code, std::string reason);

  bool is_binary() const { return wire_->is_binary(); }
  bool has_heard() const { return has_heard_; }  // anything from the far side
  std::size_t streams() const { return streams_.size(); }
  void say(const tunnel::Frame& frame);  // about listeners

  // A stream to the far side: for `asked` of the type open or connect; the stream's number is given here.
  // Answered in JSON at once, else when the far side has its own end.
  Task<Result<std::unique_ptr<Connection>>> open(tunnel::Frame asked, Transport transport);

 private:
  friend class TunnelArrival;
  using State = std::shared_ptr<tunnel::StreamState>;

  // StreamHub
  void has_something(tunnel::StreamState& stream) override;
  void took(tunnel::StreamState& stream) override;
  void break_off(tunnel::StreamState& stream) override;

  Task<> carry();
  static Task<> either_of(Task<> one, Task<> other);
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
  bool holds_close(tunnel::StreamState& stream);

  bool gather();
  void give_turn(tunnel::StreamState& stream);
  void send_pending(tunnel::StreamState& stream);
  void send_end(tunnel::StreamState& stream);
  Task<> let_drain();
  std::uint32_t next_id();

  const Executor executor_;
  const std::unique_ptr<WebSocket> socket_;
  const std::unique_ptr<tunnel::Wire> wire_;
  const Options options_;
  TunnelEvents& events_;

  std::unordered_map<std::uint32_t, State> streams_;
  std::uint32_t last_id_ = 0;
  tunnel::Batch said_;  // what is to be sent beside streams' bytes
  tunnel::Batch sending_;
  std::deque<State> turns_;                                     // streams with something to send, each once
  std::deque<std::weak_ptr<tunnel::StreamState>> half_closed_;  // JSON: whose close waits
  Clock::time_point last_heard_ = Clock::now();
  bool has_heard_ = false;
  std::optional<Error> ended_;
  std::optional<std::pair<std::uint16_t, std::string>> goodbye_;  // once all that was said is sent
  bool when_idle_ = false;
  State overfull_;  // JSON: the only stream, which the reader waits for
  Signal has_work_, drained_, half_close_;
};

}  // namespace nsrun
