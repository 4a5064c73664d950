#pragma once

#include <memory>

#include "host/flow/policy.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"

namespace nsrun {

// Sees to it that what the asker says agrees with the verdict (Verdict::inspection). Gives back the asker's
// end, to relay from there on: the same one where the beginning tells all. Null: it did not agree, or an end
// broke; both are reset then, and the record says why. `far` and `record` outlive the task; the record, what
// it gives back as well. `memory`, which outlives both, is charged for what is held until it agrees; null:
// nothing is.
Task<std::unique_ptr<Connection>> inspect(std::unique_ptr<Connection> near, Connection& far,
                                          const Verdict& verdict, FlowRecord& record,
                                          MemoryShare* memory = nullptr);

}  // namespace nsrun
