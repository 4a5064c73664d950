#include "host/tunnel/tunnel_link.h"

#include <algorithm>

#include "host/tunnel/session_limits.h"
#include "runtime/route_changes.h"

namespace nsrun {
namespace {

// A session that ended sooner, and carried nothing, lets the pauses grow; one within backoff_min does not.
constexpr auto brief = 100ms;

}  // namespace

TunnelLink::TunnelLink(Executor executor, std::unique_ptr<TunnelConnector> connector, Options options,
                       User& user)
    : executor_(executor),
      connector_(std::move(connector)),
      options_(options),
      user_(user),
      told_to_close_(executor) {}

Task<Result<void>> TunnelLink::connect() {
  auto opened = co_await connector_->connect();
  if (!opened) co_return opened.error();
  const auto interval = std::max(options_.ping_interval, Clock::duration{});
  session_ = std::make_unique<TunnelSession>(
      executor_, std::move(opened->socket), opened->is_binary,
      TunnelSession::Options{TunnelSession::Role::client, interval, 2 * interval, options_.stall_limit},
      user_);
  co_return Result<void>{};
}

Clock::duration TunnelLink::pause(unsigned attempt) const {
  if (attempt == 0) return {};
  const auto doubled = options_.backoff_min * (1u << std::min(attempt - 1, 16u));
  return std::min<Clock::duration>(doubled, options_.backoff_max);
}

Task<Error> TunnelLink::run() {
  Error why{"the tunnel was not connected"};
  for (unsigned attempt = 0;; ++attempt) {
    if (session_) {
      user_.link_up(*session_);
      const auto began = Clock::now();
      co_await either(carry(*session_, why), watch_network(*session_));
      const auto lasted = Clock::now() - began;
      // The pauses start again only after a session that was of use: a server that lets us in and says
      // nothing, or ends at once, is not dialled at once.
      const bool was_of_use = session_->has_carried() || (session_->has_heard() && lasted >= brief);
      if (was_of_use) attempt = lasted >= options_.backoff_min ? 0 : 1;
      session_.reset();
      user_.link_down(why);
    }
    if (closing_ || !options_.reconnects) co_return why;
    const bool goes_on = co_await either(connect_after(pause(attempt), why), told_to_close_.wait());
    if (!goes_on) co_return why;
  }
}

Task<> TunnelLink::carry(TunnelSession& session, Error& why) { why = co_await session.run(); }

// A laptop that comes to another network has another address: what the server sends to the old one is lost,
// and without a word of it. As long as there is no route at all nothing is decided, for the network may come
// back as it was.
Task<> TunnelLink::watch_network(TunnelSession& session) {
  Descriptor changes(executor_);
  if (auto socket = open_route_changes()) changes.assign(socket.release());
  while (changes.is_open() && co_await readable(changes)) {
    co_await sleep_for(tunnel::limits::network_settles);
    drain_route_changes(changes.native_handle());
    const auto path = session.path();
    if (path == TcpPath::none) continue;
    const bool alive = co_await session.is_alive(path == TcpPath::moved ? tunnel::limits::sign_limit_moved
                                                                        : tunnel::limits::sign_limit_same);
    if (alive || session.path() == TcpPath::none) continue;
    session.abort(
        {"this machine's network has changed, and the server does not answer", errno_code(ETIMEDOUT)});
  }
  // The session's end ends this, too.
  Timer never(executor_, Clock::time_point::max());
  co_await never.async_wait(use_task);
}

Task<> TunnelLink::connect_after(Clock::duration wait, Error& why) {
  co_await sleep_for(wait);
  const auto connected = co_await connect();
  if (!connected) why = connected.error();
}

void TunnelLink::close(std::uint16_t code) {
  closing_ = true;
  told_to_close_.raise();
  if (session_) session_->close(code, "");
}

void TunnelLink::close_when_idle(std::uint16_t code) {
  closing_ = true;
  told_to_close_.raise();
  if (session_) session_->close_when_idle(code, "");
}

}  // namespace nsrun
