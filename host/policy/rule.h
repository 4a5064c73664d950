#pragma once

#include <memory>
#include <string>

#include "host/policy/match.h"

namespace nsrun {

class Faults;

// What a rule does with the flows it matches. The first that decides (up to redirect) and matches is the
// flow's verdict. Of via, fault and log the first of each that matches is added to it.
enum class Action : std::uint8_t {
  allow,
  deny,      // silence
  reject,    // RST; ICMP administratively prohibited for udp and icmp
  ask,       // somebody else decides (host/policy/approval_queue.h)
  redirect,  // allowed, to another place
  via,       // dialled by another dialer
  fault,     // made worse
  log        // said on standard error as it begins
};
std::string_view to_string(Action action);
constexpr bool decides(Action action) { return action <= Action::redirect; }
// Whether it may let a flow pass.
constexpr bool opens(Action action) {
  return action == Action::allow || action == Action::ask || action == Action::redirect;
}

// Where a redirected flow goes: an address or a name, and a port (0: the flow's own).
struct Place {
  IpAddress address;
  std::string name;  // empty: the address says all
  std::uint16_t port = 0;

  static Result<Place> parse(std::string_view text);  // HOST[:PORT], IPv6 in brackets where PORT follows
  std::string to_string() const;
  bool operator==(const Place&) const = default;
};

struct Rule {
  Action action = Action::allow;
  Match match;
  Place to = {};                             // of redirect
  std::string via = {};                      // of via: a dialer's URL (host/outside/dial_url.h)
  std::shared_ptr<Faults> faults = nullptr;  // of fault
  std::string where = {};                    // who said it: "policy.yaml:7", "--allow"

  std::string to_string() const;  // "allow github.com:443"; passwords of `via` left out
};

}  // namespace nsrun
