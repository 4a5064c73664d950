#pragma once

namespace nsrun {

// nsrun policy: what policy files say, without running anything.
//
//   nsrun policy check [--time] FILE…
//   nsrun policy explain [--json] FILE… SUBJECT     status 0: allowed, 1: not
int policy_command(int argc, char** argv);
const char* policy_help();  // nsrun policy --help

}  // namespace nsrun
