#include "cmd/completion/help_options.h"

#include <algorithm>
#include <span>

namespace nsrun {
namespace {

std::string_view trimmed_left(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

// The options of an entry: "-p, --publish PORT", "--pid, --uts, --ipc", "--cert FILE --key FILE",
// "--allow, --deny (silence), --reject MATCH", "--accelerate[=auto|on|off]", "-h, --help; -V, --version".
std::vector<HelpOption> options_of(std::string_view entry) {
  std::vector<HelpOption> options;
  std::size_t group = 0;  // where the options begin that share the next argument: those with commas between
  while (!(entry = trimmed_left(entry)).empty()) {
    const auto end = std::min(entry.find(' '), entry.size());
    auto word = entry.substr(0, end);
    const bool goes_on = word.ends_with(',');
    const bool is_over = word.ends_with(';');
    if (goes_on || is_over) word.remove_suffix(1);
    entry.remove_prefix(end);
    if (word.starts_with('-')) {
      const auto bracket = word.find("[=");
      HelpOption option{std::string(word.substr(0, bracket)), {}, {}, bracket != word.npos};
      if (option.is_attached) option.argument = word.substr(bracket + 2, word.size() - bracket - 3);
      options.push_back(std::move(option));
    } else if (!word.starts_with('(')) {  // "(silence)" is a remark
      for (auto& option : std::span(options).subspan(group))
        if (option.argument.empty()) option.argument = word;
    }
    if (is_over || (!goes_on && !trimmed_left(entry).starts_with('(') && !word.starts_with('-')))
      group = options.size();
  }
  return options;
}

// "memory that the sandbox can hold (default 512MiB); more is refused" is cut after "hold".
std::string first_clause(std::string_view description) {
  std::size_t end = description.size();
  for (const std::string_view mark : {";", ": ", " (", ", or ", ". "})
    end = std::min(end, description.find(mark));
  return std::string(description.substr(0, end));
}

bool is_entry(std::string_view line) { return trimmed_left(line).starts_with('-'); }

// The lines from `at` that continue an entry: indented further than options are.
std::string continued(std::string_view help, std::size_t at) {
  constexpr std::size_t column = 20;
  std::string text;
  while (at < help.size()) {
    const auto end = std::min(help.find('\n', at), help.size());
    const auto line = help.substr(at, end - at);
    if (is_entry(line) || std::min(line.find_first_not_of(' '), line.size()) < column) break;
    text.append(text.empty() ? "" : " ").append(trimmed_left(line));
    at = end + 1;
  }
  return text;
}

}  // namespace

std::vector<HelpOption> options_in(std::string_view help) {
  std::vector<HelpOption> found;
  for (std::size_t at = 0; at < help.size();) {
    const auto end = std::min(help.find('\n', at), help.size());
    const auto line = trimmed_left(help.substr(at, end - at));
    at = end + 1;
    if (!is_entry(line)) continue;
    const auto gap = std::min(line.find("  "), line.size());
    auto description = std::string(trimmed_left(line.substr(gap)));
    if (auto rest = continued(help, at); !rest.empty())
      description.append(description.empty() ? "" : " ").append(rest);
    for (auto& option : options_of(line.substr(0, gap))) {
      option.description = first_clause(description);
      found.push_back(std::move(option));
    }
  }
  return found;
}

}  // namespace nsrun
