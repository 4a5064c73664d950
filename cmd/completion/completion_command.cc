#include "cmd/completion/completion_command.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/completion/complete.h"
#include "cmd/completion/completion_scripts.h"
#include "cmd/reporter.h"

namespace nsrun {
namespace {

int answer(const std::vector<std::string>& words) {
  const auto completion = complete(words);
  for (const auto& [word, description] : completion.candidates)
    std::printf("%s\t%s\n", word.c_str(), description.c_str());
  switch (completion.rest) {
    case Completion::Rest::none:
      std::fputs(":none", stdout);
      break;
    case Completion::Rest::files:
      std::fputs(":files", stdout);
      break;
    case Completion::Rest::command:
      std::printf(":command %zu", completion.command_at);
      break;
  }
  std::puts(completion.is_beginning ? " nospace" : "");
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

const char* completion_help() {
  return R"(nsrun completion prints a script that completes nsrun's options in a shell.

  source <(nsrun completion bash)      in ~/.bashrc
  source <(nsrun completion zsh)       in ~/.zshrc
  nsrun completion fish | source       in ~/.config/fish/config.fish

It completes options, their values, the words of rules, control sockets of
running sandboxes, and the command's own words.
)";
}

int completion_command(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "words") return answer({argv + 2, argv + argc});
  if (what == "-h" || what == "--help") return std::fputs(completion_help(), stdout) < 0;
  if (what == "bash") return std::fputs(bash_completion, stdout) < 0;
  if (what == "zsh") return std::fputs(zsh_completion, stdout) < 0;
  if (what == "fish") return std::fputs(fish_completion, stdout) < 0;
  return fail({what.empty() ? "completion: no shell is named"
                            : "completion: unknown shell '" + std::string(what) + "'",
               {},
               "write nsrun completion bash, zsh or fish",
               ExitCode::usage});
}

}  // namespace nsrun
