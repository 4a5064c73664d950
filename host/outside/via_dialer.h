#pragma once

#include <map>
#include <memory>
#include <string>

#include "host/flow/dialer.h"

namespace nsrun {

// Takes the dialer that the target names (Target::via), or else the usual one. Dialers are made when first
// needed, and kept.
class ViaDialer final : public Dialer {
 public:
  // `usual` outlives the dialer.
  ViaDialer(Executor executor, Dialer& usual) : executor_(executor), usual_(usual) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  Dialer& usual_;
  std::map<std::string, std::unique_ptr<Dialer>> others_;  // by URL: as many as rules name
};

}  // namespace nsrun
