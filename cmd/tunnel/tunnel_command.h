#pragma once

#include <string_view>

namespace nsrun {

// `nsrun tunnel server|client …`: argv[0] is "tunnel", or the name of a link, "vtunnel". The exit status.
int tunnel_command(int argc, char** argv);
int tunnel_server_command(int argc, char** argv);  // argv[0] is "server"
int tunnel_client_command(int argc, char** argv);  // argv[0] is "client"

// nsrun tunnel [server|client] --help
const char* tunnel_help(std::string_view role);
const char* tunnel_server_help();
const char* tunnel_client_help();

}  // namespace nsrun
