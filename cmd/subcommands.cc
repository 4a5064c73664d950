#include "cmd/subcommands.h"

#include <array>
#include <string_view>

#include "cmd/ctl/ctl_command.h"
#include "cmd/lennut/lennut_command.h"
#include "cmd/policy/policy_command.h"
#include "cmd/service/forward_command.h"
#include "cmd/service/vsock_command.h"
#include "cmd/tunnel/tunnel_command.h"
#include "cmd/wake/wake_command.h"

namespace nsrun {
namespace {

constexpr std::array subcommands = {
    Subcommand{"ctl", ctl_command},       Subcommand{"forward", forward_command},
    Subcommand{"lennut", lennut_command}, Subcommand{"policy", policy_command},
    Subcommand{"tunnel", tunnel_command}, Subcommand{"vsock", vsock_command},
    Subcommand{"wake", wake_command}};

// Two programs have that name, and different words after it.
int vtunnel_command(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return role == "host" || role == "peer" ? vsock_command(argc, argv) : tunnel_command(argc, argv);
}

// What a link to nsrun of that name does: what the program did whose name it is.
constexpr std::array programs = {Subcommand{"lennut", lennut_command},
                                 Subcommand{"proxytainer", wake_command},
                                 Subcommand{"vtunnel", vtunnel_command}};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::optional<int> run_subcommand(int argc, char** argv) {
  if (argc < 1) return std::nullopt;
  for (const auto& program : programs)
    if (base_name(argv[0]) == program.word) return program.run(argc, argv);
  if (argc < 2) return std::nullopt;
  for (const auto& subcommand : subcommands)
    if (std::string_view(argv[1]) == subcommand.word) return subcommand.run(argc - 1, argv + 1);
  return std::nullopt;
}

}  // namespace nsrun
