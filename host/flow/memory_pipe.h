#pragma once

#include <memory>
#include <utility>

#include "runtime/connection.h"

namespace nsrun {

constexpr std::size_t memory_pipe_capacity = 256 * 1024;  // bytes under way each way; then writers wait

// Two connected ends in one process: what one writes the other reads. Streams and datagrams, half-close and
// reset as on a kernel socket; an end that goes is seen by the other as a close.
std::pair<std::unique_ptr<Connection>, std::unique_ptr<Connection>> memory_pipe(
    Executor executor, Transport transport, std::size_t capacity = memory_pipe_capacity);

}  // namespace nsrun
