#pragma once

namespace nsrun {

// `nsrun lennut server|client`, or lennut as it was. The exit status.
int lennut_command(int argc, char** argv);
const char* lennut_help();  // nsrun lennut --help

}  // namespace nsrun
