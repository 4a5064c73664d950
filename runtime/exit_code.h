#pragma once

namespace nsrun {

// What nsrun itself exits with when it fails before or beside the command. The command's own status passes
// through unchanged, 128 + n when signal n ended it. 125 to 127 mean what they mean for env(1) and docker(1).
enum class ExitCode : int {
  ok = 0,
  usage = 2,             // a flag or an address is wrong
  no_tun = 120,          // /dev/net/tun is missing, or may not be opened
  no_namespace = 121,    // the system forbids user or network namespaces
  port_in_use = 122,     // a published port could not be bound
  no_id_ranges = 123,    // newuidmap is missing, or the account has no subordinate ids
  failed = 125,          // anything else that went wrong in nsrun
  not_executable = 126,  // the command exists and cannot be executed
  not_found = 127,       // there is no such command
};

}  // namespace nsrun
