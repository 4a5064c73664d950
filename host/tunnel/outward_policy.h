#pragma once

#include <memory>

#include "host/names/synthetic_names.h"
#include "host/policy/rule_policy.h"

namespace nsrun {

// A sandbox's policy without a sandbox: whoever asks by name gets a synthetic address for it, by which it is
// judged. No address stands for another here, and nobody is asked.
struct OutwardPolicy {
  explicit OutwardPolicy(std::shared_ptr<const RuleSet> set)
      : rules({.network = no_network(), .always_names = true}, names, std::move(set)) {}

  SyntheticNames names;
  RulePolicy rules;

 private:
  static NetworkOptions no_network() {
    NetworkOptions network;
    for (IpAddress* address : {&network.guest4, &network.gateway4, &network.name_server4, &network.guest6,
                               &network.gateway6, &network.name_server6})
      *address = IpAddress{};
    return network;
  }
};

}  // namespace nsrun
