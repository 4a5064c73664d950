#pragma once

#include "testing/world_state.h"

namespace nsrun::testing {

// Every flow ends in what the world has declared for it, or is refused.
class DeclaredDialer final : public Dialer {
 public:
  explicit DeclaredDialer(WorldState& world) : world_(world) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  WorldState& world_;
};

// What a target is looked up by.
Subject subject_of(const Target& target);
// The name, or the address.
std::string host_of(const Target& target);

}  // namespace nsrun::testing
