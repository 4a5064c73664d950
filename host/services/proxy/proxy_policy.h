#pragma once

#include "host/flow/policy.h"
#include "host/names/synthetic_names.h"
#include "host/services/proxy/domain_map.h"

namespace nsrun {

// Where what an HTTP proxy is asked for leads: a place that is in the map, to its port of 127.0.0.1; any
// other as `others` says, which sees names by their synthetic addresses, as everywhere.
class ProxyPolicy final : public Policy {
 public:
  // All outlive the policy. `names`: those that `others` knows names by.
  ProxyPolicy(const DomainMap& map, SyntheticNames& names, Policy& others)
      : map_(map), names_(names), others_(others) {}

  Verdict judge(const FlowKey& key) override;
  std::uint64_t generation() const override { return others_.generation(); }
  Task<Verdict> ask(const FlowKey& key, Verdict undecided) override {
    return others_.ask(key, std::move(undecided));
  }

 private:
  const DomainMap& map_;
  SyntheticNames& names_;
  Policy& others_;
};

}  // namespace nsrun
