#include "cmd/subcommands.h"

#include <array>
#include <string_view>

#include "cmd/ctl/ctl_command.h"
#include "cmd/policy/policy_command.h"
#include "cmd/service/forward_command.h"
#include "cmd/service/vsock_command.h"

namespace nsrun {
namespace {

constexpr std::array subcommands = {Subcommand{"ctl", ctl_command}, Subcommand{"forward", forward_command},
                                    Subcommand{"policy", policy_command}, Subcommand{"vsock", vsock_command}};

}  // namespace

const Subcommand* find_subcommand(int argc, char** argv) {
  if (argc < 2) return nullptr;
  for (const auto& subcommand : subcommands)
    if (std::string_view(argv[1]) == subcommand.word) return &subcommand;
  return nullptr;
}

}  // namespace nsrun
