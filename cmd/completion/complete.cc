#include "cmd/completion/complete.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>

#include "cmd/completion/control_sockets.h"
#include "cmd/completion/help_options.h"
#include "cmd/ctl/ctl_command.h"
#include "cmd/ctl/ctl_requests.h"
#include "cmd/help.h"
#include "cmd/policy/policy_command.h"
#include "cmd/subcommands.h"

namespace nsrun {
namespace {

using Words = std::span<const std::string>;
using Candidate = Completion::Candidate;

void add(Completion& to, std::string_view typed, std::string word, std::string description = {}) {
  if (word.starts_with(typed)) to.candidates.push_back({std::move(word), std::move(description)});
}

Completion command_from(std::size_t index) {
  Completion completion;
  completion.rest = Completion::Rest::command;
  completion.command_at = index;
  return completion;
}

constexpr std::array protocols = {"tcp/", "udp/", "icmp/", "tls/", "http/", "dns/"};  // of a MATCH

// "auto|low|cpu" has choices; "http://HOST|none" has the one that is written in small letters.
std::vector<std::string> choices_of(std::string_view argument) {
  std::vector<std::string> choices;
  if (argument.find('|') == argument.npos) return choices;
  for (std::size_t at = 0; at <= argument.size();) {
    const auto end = std::min(argument.find('|', at), argument.size());
    const auto choice = argument.substr(at, end - at);
    if (std::ranges::all_of(choice, [](unsigned char c) { return std::islower(c) || c == '-'; }))
      choices.emplace_back(choice);
    at = end + 1;
  }
  return choices;
}

// `prefix` is what stands before the value in the same word: "--latency=".
Completion value_of(const HelpOption& option, std::string_view typed, const std::string& prefix = {}) {
  Completion completion;
  for (const auto& choice : choices_of(option.argument)) add(completion, typed, prefix + choice);
  const auto names = [&](std::string_view word) { return option.argument.find(word) != std::string::npos; };
  if (names("MATCH")) {
    for (const auto* protocol : protocols) add(completion, typed, prefix + protocol);
    completion.is_beginning = true;
  }
  if (names("FILE") || names("PATH") || names("SOCKET")) completion.rest = Completion::Rest::files;
  if (names("CMD") || names("COMMAND")) completion.rest = Completion::Rest::files;
  return completion;
}

// What stands before the word that is being typed. `command_at` is set where a command begins among them, and
// `value` to the option whose value comes next.
struct Before {
  std::size_t command_at = std::string::npos;
  const HelpOption* value = nullptr;
};

const HelpOption* find(const std::vector<HelpOption>& options, std::string_view name) {
  const auto found = std::ranges::find(options, name, &HelpOption::name);
  return found == options.end() ? nullptr : &*found;
}

// `takes_command`: the first word that is no option begins a command, as in nsrun itself.
Before look_at(const std::vector<HelpOption>& options, Words words, bool takes_command) {
  Before before;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto& word = words[i];
    before.value = nullptr;
    if (word == "--") return {i + 1, nullptr};
    if (!word.starts_with('-')) {
      if (takes_command) return {i, nullptr};
      continue;
    }
    const auto* option = find(options, word);
    if (!option || option->argument.empty() || option->is_attached) continue;
    if (i + 2 == words.size())
      before.value = option;
    else
      ++i;  // its value
  }
  return before;
}

Completion complete_options(std::string_view help, Words words, bool takes_command) {
  const auto options = options_in(help);
  const std::string& typed = words.back();
  const auto before = look_at(options, words, takes_command);
  if (before.command_at != std::string::npos) return command_from(before.command_at);
  if (before.value) return value_of(*before.value, typed);
  if (const auto equals = typed.find('='); typed.starts_with("--") && equals != typed.npos) {
    const auto* option = find(options, typed.substr(0, equals));
    return option ? value_of(*option, typed, typed.substr(0, equals + 1)) : Completion{};
  }
  Completion completion;
  if (typed.starts_with('-'))
    for (const auto& option : options) add(completion, typed, option.name, option.description);
  else if (takes_command)
    completion = command_from(words.size() - 1);
  else
    completion.rest = Completion::Rest::files;
  return completion;
}

// nsrun ctl SOCKET COMMAND [WORD]
Completion complete_ctl(Words words) {
  Completion completion;
  const std::string& typed = words.back();
  if (typed.starts_with('-')) return complete_options(ctl_help(), words, false);
  if (words.size() == 1) {
    for (auto& path : live_control_sockets()) add(completion, typed, path, "a running nsrun");
    completion.rest = Completion::Rest::files;
    return completion;
  }
  for (const auto& [first, second, what] : ctl_commands()) {
    if (words.size() == 2 && (completion.candidates.empty() || completion.candidates.back().word != first))
      add(completion, typed, first, second.empty() ? what : std::string());
    if (words.size() == 3 && words[1] == first) add(completion, typed, second, what);
  }
  if (words.size() == 4 && words[1] == "capture") completion.rest = Completion::Rest::files;
  return completion;
}

Completion complete_policy(Words words) {
  if (words.size() > 1 || words.back().starts_with('-')) return complete_options(policy_help(), words, false);
  Completion completion;
  add(completion, words.back(), "check", "are these files valid");
  add(completion, words.back(), "explain", "what happens to a flow, and why");
  return completion;
}

// A subcommand that is a server or a client, a host or a peer: options follow its role.
Completion complete_role(const Subcommand& subcommand, Words words) {
  const bool has_role = words.size() > 1 && !words.front().starts_with('-');
  if (has_role || words.back().starts_with('-'))
    return complete_options(subcommand.help(has_role ? words.front() : std::string()), words, false);
  Completion completion;
  for (const auto* role : subcommand.roles) add(completion, words.back(), role);
  return completion;
}

// nsrun wake … --sandbox is followed by a command line of nsrun.
Completion complete_wake(const Subcommand& wake, Words words) {
  const auto option = std::find(words.begin(), words.end() - 1, "--sandbox");
  if (option == words.end() - 1) return complete_options(wake.help({}), words, false);
  const auto before = static_cast<std::size_t>(option + 1 - words.begin());
  auto completion = complete_options(help_text(), words.subspan(before), true);
  completion.command_at += before;
  return completion;
}

Completion complete_subcommand(const Subcommand& subcommand, Words words) {
  const std::string_view name = subcommand.word;
  if (name == "ctl") return complete_ctl(words);
  if (name == "policy") return complete_policy(words);
  if (name == "wake") return complete_wake(subcommand, words);
  if (!subcommand.roles.empty()) return complete_role(subcommand, words);
  return complete_options(subcommand.help({}), words, false);
}

}  // namespace

Completion complete(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  if (const auto* subcommand = find_subcommand(words.front()); subcommand && words.size() > 1) {
    auto completion = complete_subcommand(*subcommand, Words(words).subspan(1));
    ++completion.command_at;
    return completion;
  }
  auto completion = complete_options(help_text(), words, true);
  if (words.size() == 1 && !words.front().starts_with('-'))
    for (const auto& subcommand : subcommands())
      add(completion, words.front(), subcommand.word, subcommand.summary);
  return completion;
}

}  // namespace nsrun
