#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/tunnel/web_socket.h"
#include "runtime/connection.h"

namespace nsrun {

// From an HTTP/1.1 connection to the WebSocket of a tunnel (RFC 6455 4), on both sides.

struct TunnelSocket {
  std::unique_ptr<WebSocket> socket;
  bool is_binary = false;  // the subprotocol was agreed upon
};

struct UpgradeRequest {
  std::string host, path = "/";                              // host with its port, as the Host field has it
  std::vector<std::pair<std::string, std::string>> headers;  // beside those of the handshake
  bool offers_binary = true;
};
// As a client. Errors: EACCES where the server wants another token, ECONNREFUSED where it is no tunnel.
Task<Result<TunnelSocket>> ask_for_tunnel(std::unique_ptr<Connection> server, UpgradeRequest request);

struct UpgradeRules {
  std::string token = {};  // that clients have to show (RFC 6750 2.1); empty: none
  bool takes_binary = true;
  std::string name = {};  // by which browsers know this server; empty: none. Used without a token
};
constexpr auto upgrade_limit = 30s;  // for a client to have asked, or a server to have answered
// As a server: one request. /health is answered; an error is what was answered to others that did not get
// through. Without `has_room` nobody gets through.
Task<Result<TunnelSocket>> give_tunnel(std::unique_ptr<Connection> client, const UpgradeRules& rules,
                                       bool has_room = true, Clock::duration limit = upgrade_limit);

}  // namespace nsrun
