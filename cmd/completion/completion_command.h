#pragma once

namespace nsrun {

// `nsrun completion bash|zsh|fish` prints a script for that shell to read. The script asks
// `nsrun completion words WORD…`: the words after "nsrun" up to the cursor. The answer is a line for each
// candidate, "WORD<tab>DESCRIPTION", and a last line ":none", ":files" or ":command N", followed by "
// nospace" where candidates are beginnings of words. The exit status.
int completion_command(int argc, char** argv);
const char* completion_help();

}  // namespace nsrun
