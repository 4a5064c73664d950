#pragma once

namespace nsrun {

// `nsrun vsock host|peer --config-path FILE`: argv[0] is "vsock". The exit status.
int vsock_command(int argc, char** argv);
const char* vsock_help();  // nsrun vsock --help

}  // namespace nsrun
