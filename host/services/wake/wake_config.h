#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/services/wake/wake_spec.h"

// Groups that wake and sleep:
//
//   groups:
//     - name: web
//       listen: tcp://:8080=tcp://127.0.0.1:8000    # or a list
//       exec: ./server --port 8000                  # or systemd: UNIT, or docker: GROUP, or
//                                                   # sandbox: [--allow, example.org, --, ./server]
//       idle: 30                                    # seconds, or 2min
//
// A LISTEN=DIAL that several groups have wakes them all.
//
// Its other keys are as the options of nsrun wake: user, idle-by, threshold, wake-threshold, probe,
// start-timeout, stop-timeout, health (yes, no) and sleep (stop, pause).

namespace nsrun {

constexpr std::size_t max_wake_config = 1 << 20;  // bytes

// `name`: how errors call the text. They begin with "name:line:column:", say which key is wrong, and have
// ExitCode::usage. At least one group, of which no two have a name in common. `docker`: where groups of
// containers are looked for.
Result<std::vector<WakeSpec>> parse_wake_config(std::string_view text, const std::string& name,
                                                const std::string& docker);
Result<std::vector<WakeSpec>> read_wake_config(const std::string& path, const std::string& docker);

}  // namespace nsrun
