#include <algorithm>
#include <limits>

#include "host/tunnel/session_limits.h"
#include "host/tunnel/tunnel_session.h"

// What the far side of a tunnel says. tunnel_session.cc has the theory of it.

namespace nsrun {

using namespace tunnel::limits;
using tunnel::Frame;
using tunnel::Reason;
using tunnel::StreamState;
using Type = Frame::Type;

namespace {

// The far side may be of any version: what it does not keep to ends a stream, or the tunnel.
Error misbehaved(const std::string& what) {
  return {"the far side of the tunnel breaks its protocol: " + what, errno_code(EPROTO)};
}

}  // namespace

void TunnelSession::take(Frame frame) {
  switch (frame.type) {
    case Type::listen:
      return options_.role == Role::server ? events_.asked_to_listen(frame) : void();
    case Type::unlisten:
      return options_.role == Role::server ? events_.asked_to_stop(frame.listener) : void();
    case Type::listen_ok:
    case Type::listen_err:
      return options_.role == Role::client ? events_.listen_answered(frame) : void();
    case Type::connect:
    case Type::open:
      return take_stream(std::move(frame));
    case Type::open_ok:
    case Type::open_err:
      return take_answer(frame);
    case Type::data:
    case Type::datagram:
      has_carried_ = true;
      return take_data(std::move(frame));
    case Type::credit:
      return take_credit(frame);
    case Type::finish:
    case Type::reset:
    case Type::close:
      return take_end(frame);
    case Type::ping:
      return say({.type = Type::pong});
    case Type::none:
    case Type::pong:
      return;
  }
}

void TunnelSession::take_stream(Frame frame) {
  const bool is_servers = options_.role == Role::client;
  const bool odd = frame.stream % 2 == 1;
  const bool theirs = is_binary() ? odd != is_servers : is_servers;
  if (frame.stream == 0 || !theirs || streams_.contains(frame.stream))
    return trouble(misbehaved("it opens stream " + std::to_string(frame.stream)).message());
  const bool udp = is_binary() && frame.type == Type::open ? frame.text.starts_with("udp/") : false;
  const bool datagrams = udp || (frame.type == Type::connect && frame.protocol == Protocol::udp);
  const State stream = add(frame.stream, datagrams ? Transport::datagram : Transport::stream);
  stream->far_asked = true;
  stream->credit = is_binary() ? frame.window : std::numeric_limits<std::size_t>::max();
  auto arrival = std::make_unique<IncomingStream>(*this, is_binary(), stream, std::move(frame));
  if (streams_.size() + leftover_.size() > max_streams) return arrival->refuse(Reason::failed);
  events_.stream_asked(std::move(arrival));
}

void TunnelSession::take_answer(const Frame& frame) {
  const State stream = find(frame.stream);
  if (!stream || stream->far_asked || stream->answer) return;
  if (frame.type == Type::open_ok) {
    stream->credit = frame.window;
    stream->answer.emplace();
  } else {
    std::string why = "the far side of the tunnel could not connect: " + std::string(to_string(frame.reason));
    if (!frame.text.empty()) why += ": " + frame.text;
    stream->answer = Error{why, errno_code(errno_of(frame.reason))};
    forget(*stream);
  }
  stream->answered.raise();
}

void TunnelSession::take_data(Frame frame) {
  const State stream = find(frame.stream);
  if (!stream || stream->far_finished) return;  // it was reset here, and the far side has not heard of it yet
  stream->last_heard = Clock::now();
  if (stream->gone) {
    break_off(*stream);
    return stream->break_now();
  }
  const bool is_datagram = frame.type == Type::datagram;
  if (is_datagram != (stream->transport == Transport::datagram)) return;
  stream->take(std::move(frame.bytes));
  if (is_binary() && stream->held > 2 * std::size_t{window}) overflow(stream);
}

void TunnelSession::overflow(const State& stream) {
  trouble(misbehaved("it sends more than it may").message());
  break_off(*stream);
  stream->break_now();
}

void TunnelSession::take_credit(const Frame& frame) {
  const State stream = find(frame.stream);
  if (!stream) return;
  stream->credit += frame.window;
  if (stream->has_pending) has_something(*stream);
}

void TunnelSession::take_end(const Frame& frame) {
  const State stream = find(frame.stream);
  if (!stream) return;
  if (frame.type == Type::reset) {
    forget(*stream);
    return stream->break_now();
  }
  stream->end();
  if (frame.type == Type::close) {
    stream->closed = true;
    stream->has_pending = false;
    stream->sent.raise();
    return forget(*stream);
  }
  forget_if_done(*stream);
}

}  // namespace nsrun
