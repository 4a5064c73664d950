#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/services/wake/backends/docker_answers.h"
#include "host/services/wake/wake_spec.h"

// Groups as Lazytainer has them: described by labels of the container that wakes them,
//
//   lazytainer.group.NAME.ports=81,82             required: where clients come, tcp and udp
//   lazytainer.group.NAME.inactiveTimeout=30      seconds without use, then it sleeps
//   lazytainer.group.NAME.minPacketThreshold=30   packets within that time that are use, and that wake it
//   lazytainer.group.NAME.sleepMethod=stop        or pause
//   lazytainer.group.NAME.ignoreActiveClients=false   true: an open connection alone is no use
//   lazytainer.group.NAME.pollRate, .netInterface     without meaning here: nothing is polled or captured
//   nsrun.group.NAME.host=HOST                    nsrun's own: where its ports are dialled
//
// and consisting of the containers with the label lazytainer.group=NAME. Pure.

namespace nsrun {

struct LabelledGroup {
  WakeSpec spec;  // without its forwards
  std::vector<std::uint16_t> ports;
  std::string host;  // empty: not given
};

// Sorted by name; at least one. Errors name the label, and have ExitCode::usage.
Result<std::vector<LabelledGroup>> parse_wake_labels(const std::map<std::string, std::string>& labels,
                                                     const std::string& docker);

// The containers of each group, in the groups' order.
using GroupContainers = std::vector<std::vector<docker::Description>>;

// Gives each port its forwards, for streams and datagrams: to the given host, else to the container that
// exposes the port, else to the first one of the first group that has it. A port of several groups leads to
// one place, and so wakes them all.
Result<std::vector<WakeSpec>> with_forwards(std::vector<LabelledGroup> groups,
                                            const GroupContainers& containers);

// Reads all of this from the API; `container`: the id or name of the one with the labels. Blocks until it is
// answered, for a minute or so at most.
Result<std::vector<WakeSpec>> read_wake_labels(const std::string& docker, const std::string& container);

}  // namespace nsrun
