#include "cmd/tunnel/tunnel_command.h"

#include <cstdio>
#include <string_view>

namespace nsrun {
namespace {

constexpr auto tunnel_text = R"(nsrun tunnel carries ports through a WebSocket; either end may be the original
vtunnel.

  nsrun tunnel server [--port 3001] …            nsrun tunnel server --help
  nsrun tunnel client --server URL --forward PORT=ADDR …
                                                 nsrun tunnel client --help
)";

constexpr int misuse_status = 1;  // as the original ends then

}  // namespace

const char* tunnel_help(std::string_view role) {
  if (role == "server") return tunnel_server_help();
  return role == "client" ? tunnel_client_help() : tunnel_text;
}

int tunnel_command(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "server") return tunnel_server_command(argc - 1, argv + 1);
  if (role == "client") return tunnel_client_command(argc - 1, argv + 1);
  const bool asked = role == "-h" || role == "--help" || role == "-help";
  std::fputs(tunnel_text, asked ? stdout : stderr);
  return asked ? 0 : misuse_status;
}

}  // namespace nsrun
