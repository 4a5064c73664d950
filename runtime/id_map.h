#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

// Which ids outside a user namespace the ids inside stand for (user_namespaces(7)). The maps are worked out
// in the host process before the child starts, while ids still have their own meaning, travel in the child's
// map_ids message, and are written by the host. The host takes that message once, and before any `device`:
// until then only our own code has run in the child.

namespace nsrun {

struct IdMaps {
  std::string uid_lines;  // "INSIDE OUTSIDE COUNT\n"..., as /proc/PID/uid_map takes them
  std::string gid_lines;
  bool with_newuidmap = false;  // through newuidmap(1) and newgidmap(1): more than one's own id, without root
};

// One's own id only, as root or as itself.
IdMaps single_id_map(bool root_inside);
// One's own id and the subordinate ranges of /etc/subuid and /etc/subgid. Real root without such ranges gets
// every id it has, each as itself.
Result<IdMaps> full_id_map(bool root_inside);

// For the child in its new user namespace, from the parent of it.
Result<void> write_id_maps(pid_t child, const std::string& uid_lines, const std::string& gid_lines,
                           bool with_newuidmap);

// ---- the pure parts

struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// The account's lines in the text of a subuid(5) or subgid(5) file. An account is named by name or by uid.
std::vector<IdRange> subordinate_ranges(std::string_view file, std::string_view name, uid_t uid);
// Own id first, as `inside` (0 or itself), and the ranges around it from 0 upwards.
std::string map_lines(std::uint32_t own, bool root_inside, const std::vector<IdRange>& ranges);
// Every id that `current` (the text of one's own uid_map) has, as itself.
std::string identity_lines(std::string_view current);
// One line of one id: the kernel then wants setgroups(2) denied first.
bool is_single(std::string_view lines);

}  // namespace nsrun
