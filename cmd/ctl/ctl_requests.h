#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "runtime/result.h"

namespace nsrun {

// What follows the socket in `nsrun ctl SOCKET …`, as a request. An error has ExitCode::usage.
Result<boost::json::object> ctl_request(const std::vector<std::string>& words);

// The commands and what they do, for nsrun ctl --help.
std::string ctl_commands_help();

// The same for completion. `second` is empty where the command is one word.
struct CtlCommand {
  std::string first, second, what;
};
std::vector<CtlCommand> ctl_commands();

}  // namespace nsrun
