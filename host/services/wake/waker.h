#pragma once

#include <list>
#include <memory>
#include <optional>

#include "host/forward/forwarder.h"
#include "host/services/service.h"
#include "host/services/wake/backend.h"
#include "host/services/wake/backends/sandbox_forwards.h"
#include "host/services/wake/wake_dialer.h"
#include "host/services/wake/wake_spec.h"

namespace nsrun {

// The groups of a service that wake and sleep, and the forwards that lead to them. A forward that several
// groups have wakes them all.
class Waker {
 public:
  // Lines of levels after `most` are left out.
  Waker(Service& service, WakeLevel most) : service_(service), most_(most) {}

  // Clients wait from now on. An error: it cannot be listened there, or never be dialled, or what is to be
  // started is not clear.
  Result<void> add(WakeSpec spec);
  // From here on they are taken.
  void begin();
  // Once all of the service has ended: what would not outlive us is stopped, all at once.
  Task<> end();

 private:
  struct One {
    One(Service& service, std::optional<SandboxForwards> ways, std::unique_ptr<Backend> started,
        const WakeGroup::Options& options, WakeSay say);
    const std::optional<SandboxForwards> doors;
    std::unique_ptr<Backend> backend;
    WakeGroup group;
  };
  // A forward, and its flows.
  struct Entrance {
    Entrance(Service& service, std::string name);
    const std::string name;
    LiveFlows flows;
    WakeDialer dialer;
    Forwarder forwarder;
  };

  Result<void> add_forward(const Forward& forward, WakeGroup& group);
  WakeSay say() const;
  Task<> end_from(std::list<One>::iterator first);

  Service& service_;
  const WakeLevel most_;
  std::list<One> groups_;
  std::list<Entrance> entrances_;
};

}  // namespace nsrun
