#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsrun {

// Files that ssh(1) reads only if they belong to root or to the user, and that belong to root, seen from
// outside: all that its configuration includes, and the user's own configuration. In a user namespace root
// has no id, so the agent lays copies over them (AgentOptions::own_copies). Empty where root is the user.
std::vector<std::string> root_owned_ssh_files();

// ---- the parts

// The patterns (glob(7)) of ssh_config(5)'s Include lines; relative ones are below `directory`.
std::vector<std::string> ssh_includes(std::string_view text, const std::string& directory);
// The files that a configuration includes, those that they include, and so on.
std::vector<std::string> included_ssh_files(const std::string& config, const std::string& directory);

}  // namespace nsrun
