#include "cmd/subcommands.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cmd/completion/completion_command.h"
#include "cmd/ctl/ctl_command.h"
#include "cmd/lennut/lennut_command.h"
#include "cmd/policy/policy_command.h"
#include "cmd/service/forward_command.h"
#include "cmd/service/vsock_command.h"
#include "cmd/tunnel/tunnel_command.h"
#include "cmd/wake/wake_command.h"

namespace nsrun {
namespace {

constexpr std::array tunnel_roles = {"server", "client"};
constexpr std::array vsock_roles = {"host", "peer"};
constexpr std::array shells = {"bash", "zsh", "fish"};

template <auto text>
std::string help(std::string_view) {
  return text();
}

constexpr std::array known = {
    Subcommand{"completion", "completion for a shell", completion_command, help<completion_help>, shells},
    Subcommand{"ctl", "control a running sandbox", ctl_command, help<ctl_help>, {}},
    Subcommand{"forward", "connect an endpoint to another", forward_command, help<forward_help>, {}},
    Subcommand{"lennut", "a plain reverse tunnel", lennut_command, help<lennut_help>, tunnel_roles},
    Subcommand{"policy", "check and explain policy files", policy_command, help<policy_help>, {}},
    Subcommand{"tunnel", "ports through a WebSocket", tunnel_command,
               [](std::string_view role) { return std::string(tunnel_help(role)); }, tunnel_roles},
    Subcommand{"vsock", "across a virtual machine's boundary", vsock_command, help<vsock_help>, vsock_roles},
    Subcommand{"wake", "start servers on demand", wake_command, help<wake_help>, {}}};

// Two programs have that name, and different words after it.
int vtunnel_command(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return role == "host" || role == "peer" ? vsock_command(argc, argv) : tunnel_command(argc, argv);
}

// What a link to nsrun of that name does: what the program did whose name it is.
struct Program {
  const char* name;
  int (*run)(int argc, char** argv);
};
constexpr std::array programs = {Program{"lennut", lennut_command}, Program{"proxytainer", wake_command},
                                 Program{"vtunnel", vtunnel_command}};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::optional<int> run_subcommand(int argc, char** argv) {
  if (argc < 1) return std::nullopt;
  for (const auto& program : programs)
    if (base_name(argv[0]) == program.name) return program.run(argc, argv);
  if (argc < 2) return std::nullopt;
  if (const auto* subcommand = find_subcommand(argv[1])) return subcommand->run(argc - 1, argv + 1);
  return std::nullopt;
}

std::span<const Subcommand> subcommands() { return known; }

const Subcommand* find_subcommand(std::string_view word) {
  const auto* const found = std::ranges::find(known, word, &Subcommand::word);
  return found == known.end() ? nullptr : found;
}

}  // namespace nsrun
