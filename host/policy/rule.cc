#include "host/policy/rule.h"

#include "host/faults/faults.h"
#include "host/outside/dial_url.h"
#include "host/text/canonical_name.h"

namespace nsrun {

std::string_view to_string(Action action) {
  switch (action) {
    case Action::allow:
      return "allow";
    case Action::deny:
      return "deny";
    case Action::reject:
      return "reject";
    case Action::ask:
      return "ask";
    case Action::redirect:
      return "redirect";
    case Action::via:
      return "via";
    case Action::fault:
      return "fault";
    case Action::log:
      return "log";
  }
  return "?";
}

Result<Place> Place::parse(std::string_view text) {
  // A place is a match that names one host and at most one port.
  const auto match = Match::parse(text);
  const bool one_address = match && match->host == Match::Host::network &&
                           match->network.length == match->network.address.size() * 8;
  const bool one_host = one_address || (match && match->host == Match::Host::name);
  const bool one_port = match && (match->ports.is_all() || match->ports.first == match->ports.last);
  if (!one_host || !one_port || match->protocol)
    return Error{"'" + std::string(text) + "' is not a valid destination",
                 {},
                 "write it as HOST[:PORT], for instance 127.0.0.1:9000",
                 ExitCode::usage};
  if (one_address && match->network.address.is_unspecified())
    return Error{"'" + std::string(text) + "' is not an address that a flow can be redirected to",
                 {},
                 "write 127.0.0.1 or ::1 for this machine",
                 ExitCode::usage};
  return Place{match->network.address, match->name,
               match->ports.is_all() ? std::uint16_t{0} : match->ports.first};
}

std::string Place::to_string() const {
  if (!name.empty()) return port ? name + ":" + std::to_string(port) : name;
  return port ? Endpoint{address, port}.to_string() : address.to_string();
}

std::string Rule::to_string() const {
  std::string text = std::string(nsrun::to_string(action)) + " " + match.to_string();
  if (action == Action::redirect) text += "=" + to.to_string();
  if (action == Action::fault && faults) return "fault " + faults->spec()->text + " @ " + match.to_string();
  if (action == Action::via) text += " " + without_password(via);
  return text;
}

}  // namespace nsrun
