#pragma once

namespace nsrun {

// `nsrun forward LISTEN=DIAL…`: argv[0] is "forward". The exit status.
int forward_command(int argc, char** argv);
const char* forward_help();  // nsrun forward --help

}  // namespace nsrun
