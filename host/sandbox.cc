#include "host/sandbox.h"

namespace nsrun {

Sandbox::Sandbox(HostOptions given)
    : options(std::move(given)),
      ledger(options.events ? *options.events : no_events),
      policy({options.network, options.host_loopback, options.dialer_resolves_names}, synthetic,
             options.rules ? options.rules : std::make_shared<const RuleSet>()),
      capture([this](const IpAddress& address) { return name_of(address); }) {
  if (!options.capture.empty()) capture.start(options.capture).value();
}

std::string Sandbox::name_of(const IpAddress& address) {
  if (SyntheticNames::covers(address)) return synthetic.name_of(address).value_or("");
  return ledger.name_of(address);
}

}  // namespace nsrun
