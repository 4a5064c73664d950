// Theory of operation
//
// One connection waits at first, and more once connections come in quick succession: an original server does
// not notice that a client has gone, and gives to each of its dead connections one that comes from outside.
// What waits is not given up again while the client runs, for the same reason.
//
// As long as nothing fails, as many connections as are wanted are made at once, so that a burst finds them.
// A failure (a dial; a server that closes before it has said anything: its pool is full, or it goes) ends
// that: from then on one attempt follows the other, each after a longer pause, until a connection has stood
// for a moment. What was made before the failure goes on waiting.
//
// A connection that gets its header becomes a request, and its place is free for another.

#include "host/services/lennut/lennut_client.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/endpoints/endpoint_dialer.h"
#include "host/listen/listener.h"
#include "host/services/lennut/lennut_header.h"

namespace nsrun {
namespace {

constexpr auto dial_limit = 10s;
constexpr auto lately = 1s;     // within which connections come in quick succession
constexpr auto moment = 100ms;  // a server without room for us closes at once

Error closed_by_server() { return {"the lennut server closed the connection", errno_code(ECONNRESET)}; }

// One that has stood: the server is being restarted, as likely as not, and the next attempt is made at once.
bool is_end(const Error& error) { return error.code.value() != EPROTO; }

}  // namespace

// One of the connections that are wanted.
struct LennutClient::Place {
  explicit Place(LennutClient& client) : of(client), failures(client.failures_) { ++of.open_; }
  ~Place() {
    --of.open_;
    of.changed_.raise();
  }
  Place(const Place&) = delete;
  LennutClient& of;
  const unsigned failures;  // when it began: those that began together fail together
};

Result<std::unique_ptr<LennutClient>> LennutClient::make(Service& service, Options options) {
  for (const auto* url : {&options.server, &options.to})
    if (url->transport() != Transport::stream)
      return Error{"lennut cannot carry to '" + url->text + "'", {}, "write HOST:PORT", ExitCode::usage};
  auto server = endpoint_dialer(options.server, service.executor());
  if (!server) return server.error();
  if (auto to = endpoint_dialer(options.to, service.executor()); !to) return to.error();
  return std::unique_ptr<LennutClient>(new LennutClient(service, std::move(options), std::move(*server)));
}

LennutClient::LennutClient(Service& service, Options options, std::unique_ptr<Dialer> server)
    : service_(service),
      options_(std::move(options)),
      server_(std::move(server)),
      server_target_(options_.server.target()),
      policy_(options_.to, "lennut"),
      carrier_(service.carrier(policy_)),
      changed_(service.executor()),
      connected_(service.executor()) {}

void LennutClient::begin() { service_.sources().spawn(keep_waiting()); }

Clock::duration LennutClient::pause() const {
  const std::chrono::duration<double> wanted(std::pow(options_.base, std::min(failures_, 64u) - 1));
  return wanted < options_.most ? std::chrono::duration_cast<Clock::duration>(wanted) : options_.most;
}

Task<> LennutClient::keep_waiting() {
  for (;;) {
    while (failures_ == 0 && open_ < wanted_)
      service_.sources().spawn(attempt(std::make_unique<Place>(*this)));
    if (failures_ > 0 && open_ < wanted_) {
      co_await sleep_for(pause());
      if (failures_ > 0) co_await attempt(std::make_unique<Place>(*this));
    }
    co_await changed_.wait();
  }
}

Task<> LennutClient::attempt(std::unique_ptr<Place> place) {
  auto dialled = co_await within(dial_limit, server_->dial(server_target_));
  if (!dialled)
    failed(*place, {"cannot connect to the lennut server", errno_code(ETIMEDOUT)});
  else if (!*dialled)
    failed(*place, dialled->error());
  else
    service_.sources().spawn(wait_for_header(std::move(place), std::move(**dialled)));
}

Task<> LennutClient::wait_for_header(std::unique_ptr<Place> place, std::unique_ptr<Connection> connection) {
  std::optional<Result<void>> read;
  const auto reading = [](Connection& from, std::optional<Result<void>>& done) -> Task<> {
    done = co_await read_header(from);
  };
  bool stood = false;
  const auto standing = [](LennutClient& self, bool& for_a_moment) -> Task<> {
    co_await sleep_for(moment);
    for_a_moment = true;
    self.stands();
    co_await Signal(self.service_.executor()).wait();
  };
  co_await either(reading(*connection, read), standing(*this, stood));
  if (!*read && stood && is_end(read->error())) co_return;
  if (!*read) co_return failed(*place, read->error());
  stands();
  grow();
  place.reset();
  carry(std::move(connection));
}

Task<Result<void>> LennutClient::read_header(Connection& connection) {
  std::array<std::byte, lennut::header.size()> header;
  for (std::size_t size = 0; size < header.size();) {
    const auto chunk = co_await connection.read(std::span(header).subspan(size));
    if (!chunk) co_return chunk.error();
    if (chunk->end) co_return closed_by_server();
    size += chunk->size;
    if (const auto left = lennut::missing(as_text(Bytes(header).first(size))); !left) co_return left.error();
  }
  co_return Result<void>{};
}

// Twice as many wait as came lately.
void LennutClient::grow() {
  const auto now = Clock::now();
  while (!used_.empty() && used_.front() < now - lately) used_.pop_front();
  if (used_.size() < options_.idle) used_.push_back(now);
  wanted_ = std::clamp(2 * used_.size() - 1, wanted_, options_.idle);
}

void LennutClient::carry(std::unique_ptr<Connection> connection) {
  const FlowKey key{Protocol::tcp, server_target_.endpoint, options_.to.target().endpoint};
  carrier_.begin(std::make_unique<ConnectionRequest>(key, SharedText(options_.server.to_string()),
                                                     std::move(connection)),
                 service_.flows_scope());
}

void LennutClient::stands() {
  failures_ = 0;
  changed_.raise();
  connected_.raise();
}

void LennutClient::failed(const Place& place, const Error& error) {
  const bool is_first = failures_ == 0;
  failures_ = std::max(failures_, place.failures + 1);
  if (is_first) service_.ledger().warning(error.message() + "; trying again");
}

}  // namespace nsrun
