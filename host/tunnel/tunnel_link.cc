#include "host/tunnel/tunnel_link.h"

#include <algorithm>

namespace nsrun {
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
      TunnelSession::Options{TunnelSession::Role::client, interval, 2 * interval}, user_);
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
      why = co_await session_->run();
      // A server that lets us in and says nothing is not asked again at once.
      if (session_->has_heard()) attempt = 0;
      session_.reset();
      user_.link_down(why);
    }
    if (closing_ || !options_.reconnects) co_return why;
    const bool goes_on = co_await either(connect_after(pause(attempt), why), told_to_close_.wait());
    if (!goes_on) co_return why;
  }
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
