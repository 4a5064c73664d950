#pragma once

namespace nsrun {

// What each shell reads. None of them knows an option: they ask `nsrun completion words` for each word.
extern const char* const bash_completion;
extern const char* const zsh_completion;
extern const char* const fish_completion;

}  // namespace nsrun
