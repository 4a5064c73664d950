#include "host/sandbox.h"

namespace nsrun {

Sandbox::Sandbox(HostOptions given)
    : options(std::move(given)),
      ledger(options.events ? *options.events : no_events),
      reachability({options.network, options.host_loopback}, names()) {
  if (!options.capture.empty()) capture = CaptureFile::create(options.capture).value();
}

}  // namespace nsrun
