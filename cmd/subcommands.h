#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nsrun {

// What nsrun does beside running a command: `nsrun WORD …`. A command of that name is run by `nsrun -- WORD`.
struct Subcommand {
  const char* word;
  const char* summary;  // a few words, for completion
  // argv[0] is the word. The exit status; trouble was said on standard error.
  int (*run)(int argc, char** argv);
  // What --help prints. `role` is the word after it, for subcommands with roles, and may be empty.
  std::string (*help)(std::string_view role);
  std::span<const char* const> roles;  // "server", "client"
};

// Runs the subcommand that these arguments of nsrun's begin with, or that nsrun was started by the name of.
// The exit status; nothing: it is neither.
std::optional<int> run_subcommand(int argc, char** argv);

std::span<const Subcommand> subcommands();
const Subcommand* find_subcommand(std::string_view word);  // null: there is none

}  // namespace nsrun
