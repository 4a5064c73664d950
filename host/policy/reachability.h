#pragma once

#include "host/names/recent_names.h"
#include "host/names/synthetic_names.h"
#include "host/policy/policy.h"
#include "runtime/network.h"

namespace nsrun {

// What a guest reaches by default: the internet and the host's network. Not the host's own loopback, in any
// spelling; not link-local addresses; not cloud metadata. The gateway's addresses stand for the host's
// loopback once that is asked for, and the name server's for our name service.
class Reachability final : public Policy {
 public:
  struct Options {
    NetworkOptions network;
    bool host_loopback = false;
  };
  // `synthetic` (null: none are handed out) tells what a synthetic address stands for; both outlive the
  // policy.
  Reachability(Options options, SyntheticNames* synthetic);

  Verdict judge(const FlowKey& key) override;
  // Whether an address a name resolved to may be dialled.
  bool allows(const IpAddress& address) const;

 private:
  const Options options_;
  SyntheticNames* synthetic_;
};

// Whatever asks may go where it asks to: for requests that the user made possible, as published ports are.
class AllowAll final : public Policy {
 public:
  explicit AllowAll(std::string rule) : rule_(std::move(rule)) {}
  Verdict judge(const FlowKey& key) override;

 private:
  const std::string rule_;
};

}  // namespace nsrun
