#pragma once

namespace nsrun {

// `nsrun wake …`: argv[0] is "wake". The exit status.
int wake_command(int argc, char** argv);
const char* wake_help();  // nsrun wake --help

}  // namespace nsrun
