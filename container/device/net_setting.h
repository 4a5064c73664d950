#pragma once

#include <string>

namespace nsrun {

// Settings of the current network namespace below /proc/sys/net, by their path there. Each may fail where
// /proc/sys is read-only, or on a kernel that does not know it: they make life easier, no more.
void write_net_setting(const std::string& name, const std::string& value);
std::string read_net_setting(const std::string& name);  // empty when it cannot be read

}  // namespace nsrun
