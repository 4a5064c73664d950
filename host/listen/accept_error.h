#pragma once

#include <chrono>

namespace nsrun {

// What a failed accept(2) says about the next one.
enum class AcceptError {
  none_waiting,       // wait until the socket is readable
  without_resources,  // descriptors or memory are out: every call fails for a while
  of_one_client,      // that client is gone; another may wait
  not_listening,      // the socket was shut down: every call will fail
};
AcceptError accept_error(int number);

// Before the next accept(2) without resources, which fails at once as long as none is free.
inline constexpr std::chrono::milliseconds pause_without_descriptors(100);

}  // namespace nsrun
