#include "host/sandbox.h"

namespace nsrun {

Sandbox::Sandbox(HostOptions given)
    : options(std::move(given)),
      ledger(options.events ? *options.events : no_events),
      policy({options.network, options.host_loopback, options.dialer_resolves_names}, synthetic,
             options.rules ? options.rules : std::make_shared<const RuleSet>()) {
  if (!options.capture.empty()) capture = CaptureFile::create(options.capture).value();
}

}  // namespace nsrun
