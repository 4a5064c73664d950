#pragma once

#include <memory>

#include "runtime/connection.h"
#include "runtime/memory_budget.h"

namespace nsrun {

constexpr auto datagrams_idle = 60s;  // then nobody has more to say; as StackOptions::udp_idle

// Moves bytes both ways between the one who asked (`near`) and the one who was dialled (`far`), until both
// directions are finished, or one breaks and takes the other with it. A direction's end is passed on as a
// half-close. Datagrams keep their boundaries; the first end is the end of both, and so is
// `max_idle` without any.
//
// Where an end can carry a kernel socket on by itself, it does, and the task ends at once; where both are
// kernel sockets, the kernel moves the bytes (splice). Neither changes what anybody sees.
//
// `memory` is charged for buffers, and outlives the task; null: nothing is. Where it refuses, a stream's
// buffers stay small and a datagram is lost.
Task<> relay(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far,
             std::unique_ptr<FlowRecord> record, Clock::duration max_idle = datagrams_idle,
             MemoryShare* memory = nullptr);

}  // namespace nsrun
