#pragma once

#include <string>
#include <vector>

namespace nsrun {

// What may stand where the cursor is.
struct Completion {
  struct Candidate {
    std::string word;
    std::string description;
  };
  // What the shell completes by itself, besides the candidates.
  enum class Rest { none, files, command };

  std::vector<Candidate> candidates;
  Rest rest = Rest::none;
  std::size_t command_at = 0;  // Rest::command: the index in `words` at which the command's words begin
  bool is_beginning = false;   // a candidate is the first part of a word: the shell adds no space
};

// `words` is the command line without its first word, up to the cursor: the last of them is being typed, and
// may be empty.
Completion complete(const std::vector<std::string>& words);

}  // namespace nsrun
