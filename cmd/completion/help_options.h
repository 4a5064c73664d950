#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsrun {

// An option as a --help page lists it.
struct HelpOption {
  std::string name;          // "--log" or "-p"
  std::string argument;      // "FILE", "auto|low|cpu"; empty: the option takes none
  std::string description;   // its first line
  bool is_attached = false;  // the argument is optional and follows "="
};

// The options that a --help page lists, in its order. A page is the one table of a command's options: people
// read it, completions are made of it, and tests/docs/check.py holds the man page against it. An entry starts
// a line with a dash; two or more spaces stand between its options and its description.
std::vector<HelpOption> options_in(std::string_view help);

}  // namespace nsrun
