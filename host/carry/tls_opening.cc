#include "host/carry/tls_opening.h"

#include <algorithm>

#include "host/text/canonical_name.h"

// Theory of operation
//
//   first_hello ──► answer ──► agreed           not TLS: agreed at once
//                      └─────► second_hello ──► agreed
//
// A server may ask for the ClientHello once more (HelloRetryRequest), and would then believe the server name
// of the second. A client can have that happen by offering no key. So what follows a hello waits until the
// far side's first bytes tell whether another is due; for all but such clients the next bytes come after
// those anyway, and nobody waits.
//
// A hello that cannot be read does not agree. One that is not whole when the guest ends may go on: no server
// answers it.
//
// GREASE (RFC 8701) for ECH, which browsers send to servers that have none, is made so that it cannot be told
// from ECH. So it does not agree either.

namespace nsrun {
namespace {

constexpr std::size_t telling = 64;  // bytes of an answer that are looked at

Error tls_disagrees(std::string why) {
  return {"its TLS does not agree", errno_code(EACCES), std::move(why)};
}

}  // namespace

Result<void> TlsOpening::from_guest(Bytes more) {
  held_.insert(held_.end(), more.begin(), more.end());
  return advance();
}

Result<void> TlsOpening::guest_ended() {
  guest_ended_ = true;
  return advance();
}

Result<void> TlsOpening::from_far(Bytes more) {
  const auto room = telling - std::min(telling, answer_.size());
  const auto part = more.first(std::min(room, more.size()));
  answer_.insert(answer_.end(), part.begin(), part.end());
  return advance();
}

Result<void> TlsOpening::far_ended() {
  far_ended_ = true;
  return advance();
}

std::vector<std::byte> TlsOpening::take() {
  if (agreed()) open_ = held_.size();
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(open_);
  std::vector<std::byte> taken(held_.begin(), end);
  held_.erase(held_.begin(), end);
  open_ = 0;
  return taken;
}

Result<void> TlsOpening::advance() {
  for (State before = State::agreed; before != state_ && !agreed();) {
    before = state_;
    auto done = state_ == State::first_hello ? read_beginning()
                : state_ == State::answer    ? read_answer()
                                             : read_hello(State::agreed);
    if (!done) return done.error();
  }
  return {};
}

Result<void> TlsOpening::read_beginning() {
  const auto is_tls = starts_tls(held());
  if (is_tls == true) return read_hello(State::answer);
  if (!is_tls && !guest_ended_) return {};
  if (expected_.only_tls && !held().empty()) return tls_disagrees("it is not TLS, and the rule says tls/");
  state_ = State::agreed;
  return {};
}

Result<void> TlsOpening::read_answer() {
  const auto again = asks_for_hello_again(answer_);
  if (again == true)
    state_ = State::second_hello;
  else if (again == false || far_ended_ || (guest_ended_ && held().empty()))
    state_ = State::agreed;
  return {};
}

Result<void> TlsOpening::read_hello(State next) {
  if (state_ == State::second_hello) open_ += bytes_before_second_hello(held());
  const auto size = hello_size(held());
  if (!size) return size.error();
  if (*size == 0) {
    if (guest_ended_) state_ = State::agreed;
    return {};
  }
  const auto hello = parse_client_hello(held().first(*size));
  if (!hello) return hello.error();
  if (auto checked = check(*hello); !checked) return checked;
  open_ += *size;
  state_ = next;
  return {};
}

Result<void> TlsOpening::check(const ClientHello& hello) {
  server_name_.clear();
  if (!hello.server_name.empty()) {
    auto name = canonical_name(hello.server_name);
    if (!name) return tls_disagrees(name.error().message());
    server_name_ = std::move(*name);
  }
  if (expected_.name.empty()) {
    if (server_name_.empty() || !expected_.permits || expected_.permits(server_name_)) return {};
    return tls_disagrees("its ClientHello names " + server_name_ + ", which a rule refuses");
  }
  if (hello.encrypted)
    return tls_disagrees(
        "its ClientHello has ECH, which hides the server's name: switch that off in the program");
  if (server_name_.empty()) return tls_disagrees("its ClientHello names no server");
  if (server_name_ == expected_.name) return {};
  return tls_disagrees("its ClientHello names " + server_name_ + " and the flow is to " + expected_.name);
}

}  // namespace nsrun
