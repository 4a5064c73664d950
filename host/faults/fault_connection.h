#pragma once

#include <memory>

#include "host/faults/fault_way.h"

namespace nsrun {

// A flow between whoever asked and the far side, with faults on both its ways. Its two parties share it, as
// either may go first: the FaultConnection that the asker's end is relayed to, and carry(), which has the far
// side's.
class FaultFlow {
 public:
  // `number`: of the flow among those with these faults (Faults::next_flow).
  FaultFlow(Executor executor, Transport transport, std::shared_ptr<Faults> faults, std::uint64_t number,
            TransitBudget& under_way);

  // Until the flow is over, for both. `totals` are of the loop's thread.
  static Task<> carry(std::shared_ptr<FaultFlow> flow, std::unique_ptr<Connection> far, Counters& totals);
  static std::unique_ptr<Connection> near_end(std::shared_ptr<FaultFlow> flow);

 private:
  friend class FaultConnection;
  enum class End : std::uint8_t { none, closed, reset, over };
  class Parting;

  Task<> pass_up(Connection& far);
  Task<> fill_down(Connection& far);
  Task<> until_end();
  // What a rule says of this moment, and when it next says something else.
  Clock::time_point next_look();
  void look_at(const FaultPoint& point, const FaultWay& way, End how, Clock::time_point& next);
  void check();       // something has passed
  void look_again();  // the spec is another one
  void end(End how);
  void up_is_done();
  void end_if_done();
  void near_goes();

  const Transport transport_;
  const std::shared_ptr<Faults> faults_;
  const Clock::time_point began_ = Clock::now();
  FaultWay up_, down_;
  bool up_done_ = false, down_done_ = false, near_gone_ = false;
  Clock::time_point near_gone_at_{};
  End end_ = End::none;
  Counter* undelivered_ = nullptr;  // counts this flow, as long as something of the guest's is under way
  AsyncTimer timer_;
  Faults::Watch watch_;
};

}  // namespace nsrun
