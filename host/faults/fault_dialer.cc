#include "host/faults/fault_dialer.h"

#include "host/faults/fault_connection.h"

namespace nsrun {

Task<Result<std::unique_ptr<Connection>>> FaultDialer::dial_with_faults(const Target& target) {
  const auto faults = target.faults;
  const auto number = faults->next_flow();
  const auto spec = faults->spec();
  auto chance = faults->chance(number, SeededRandom::Part::dial);
  const bool refused = chance.happens(spec->refuse), lost = chance.happens(spec->blackhole);
  const bool is_stream = target.protocol == Protocol::tcp;

  if (is_stream && spec->syn_delay.count() > 0) co_await sleep_for(spec->syn_delay);
  if (lost) {
    const bool emerged = co_await emerge(*faults);
    if (!emerged) co_return Error{"a fault swallows " + target.to_string(), errno_code(ETIMEDOUT)};
  }
  if (refused) co_return Error{"a fault refuses " + target.to_string(), errno_code(ECONNREFUSED)};

  auto far = co_await inner_.dial(target);
  if (!far) co_return far.error();
  auto flow = std::make_shared<FaultFlow>(flows_.executor(), (*far)->transport(), faults, number, under_way_);
  auto near = FaultFlow::near_end(flow);
  flows_.spawn(FaultFlow::carry(std::move(flow), std::move(*far), totals_));
  co_return std::move(near);
}

Task<bool> FaultDialer::emerge(Faults& faults) {
  AsyncTimer alarm(flows_.executor());
  const Faults::Watch watch(faults, flows_.executor(), [&alarm] { alarm.ring(); });
  const auto limit = Clock::now() + max_silence;
  while (faults.spec()->blackhole > 0 && Clock::now() < limit) co_await alarm.wait_until(limit);
  co_return faults.spec()->blackhole == 0;
}

}  // namespace nsrun
