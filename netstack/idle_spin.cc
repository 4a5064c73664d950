#include "netstack/idle_spin.h"

#include <sched.h>

namespace nsrun {

unsigned usable_processors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

}  // namespace nsrun
