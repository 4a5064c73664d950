#pragma once

#include "host/flow/dialer.h"
#include "runtime/network.h"

namespace nsrun {

// The guest's name server is a target like any other, that happens to be in this process: what goes to its
// addresses is dialled through `service`, all else through `world`. All outlive the dialer.
class NameServiceDialer final : public Dialer {
 public:
  NameServiceDialer(const NetworkOptions& network, Dialer& service, Dialer& world)
      : network_(network), service_(service), world_(world) {}

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    const bool ours = target.name.empty() && network_.is_name_server(target.endpoint.address);
    return ours ? service_.dial(target) : world_.dial(target);
  }

 private:
  const NetworkOptions& network_;
  Dialer& service_;
  Dialer& world_;
};

}  // namespace nsrun
