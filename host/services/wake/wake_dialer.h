#pragma once

#include <vector>

#include "host/flow/dialer.h"
#include "host/services/wake/wake_group.h"

namespace nsrun {

// Before it dials, it makes sure that all groups that it leads to run; the client waits meanwhile.
class WakeDialer final : public Dialer {
 public:
  // Outlives the dialer, as its groups do.
  explicit WakeDialer(Dialer& inner) : inner_(inner) {}
  void add(WakeGroup& group) { groups_.push_back(&group); }
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;
  // A datagram from a client, whether or not its flow is new.
  void datagram_arrived();

 private:
  static Task<> awake(WakeGroup& group, const Target& target, std::vector<Error>& troubles);
  Task<> awake_all(const Target& target, std::vector<Error>& troubles);
  Task<> look_again();
  bool all_run() const;
  bool is_fresh() const;

  std::vector<WakeGroup*> groups_;
  Dialer& inner_;
};

}  // namespace nsrun
