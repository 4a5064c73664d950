#pragma once

#include <string>

namespace nsrun {

// `nsrun ctl SOCKET …`: asks a running nsrun (docs/control.md). argv[0] is "ctl". The exit status.
int ctl_command(int argc, char** argv);
std::string ctl_help();  // nsrun ctl --help

}  // namespace nsrun
