#pragma once

#include <optional>

namespace nsrun {

// What nsrun does beside running a command: `nsrun WORD …`. A command of that name is run by `nsrun -- WORD`.
struct Subcommand {
  const char* word;
  // argv[0] is the word. The exit status; trouble was said on standard error.
  int (*run)(int argc, char** argv);
};

// Runs the subcommand that these arguments of nsrun's begin with, or that nsrun was started by the name of.
// The exit status; nothing: it is neither.
std::optional<int> run_subcommand(int argc, char** argv);

}  // namespace nsrun
