#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "host/carry/carrier.h"
#include "host/endpoints/endpoint_listener.h"
#include "host/forward/forward.h"
#include "host/listen/client_quota.h"

namespace nsrun {

// The forwards of a service, or of a sandbox. On one loop.
//
//   client ─► EndpointListener ─► Carrier(AllowTo) ─► world, or into the sandbox
class Forwarder {
 public:
  // What clients are carried by. All of it outlives the tasks, and these the forwarder.
  struct Parts {
    Ledger& ledger;
    LiveFlows& flows;
    Dialer& world;  // takes Target::via
    Dialer* guest;  // null: there is no sandbox
    Scope& sources;
    Scope& carried;
    MemoryShare* memory = nullptr;  // null: nothing is charged
  };
  // A socket made in the sandbox, of this family and type.
  using MakeSocket = std::function<Task<Result<UniqueFd>>(int family, int type)>;

  // `has_sandbox`: guest+… has a meaning.
  Forwarder(Executor executor, bool has_sandbox);

  // Who may come; empty: everybody.
  using Admits = std::function<bool(const Client&)>;
  // Clients wait from now on, but for a forward that listens in the sandbox. An error: it cannot be listened
  // there, or never be dialled.
  Result<void> add(const Forward& forward, Admits admits = {});
  bool listens_inside() const;
  // Clients wait in the sandbox, too.
  Task<Result<void>> open_inside(MakeSocket make);
  // From here on they are taken; not those of a place in the sandbox that is not open.
  void begin(const Parts& parts);
  // As they are listened at, with the ports that were found.
  std::vector<EndpointUrl> listening() const;

 private:
  struct One {
    Forward forward;
    Admits admits;
    std::unique_ptr<EndpointListener> listener;  // null: in the sandbox, and not open
    std::optional<AllowTo> policy = {};          // once begun
    std::optional<Carrier> carrier = {};
  };
  void begin(One& one, const Parts& parts);
  void carry(One& one, const Parts& parts, std::unique_ptr<Request> request);
  bool comes_back(const EndpointUrl& dial, const EndpointUrl& listen) const;

  const Executor executor_;
  const bool has_sandbox_;
  std::list<One> forwards_;
  ClientQuota flows_;  // of stream clients from outside, over all forwards
};

}  // namespace nsrun
