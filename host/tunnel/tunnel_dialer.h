#pragma once

#include <memory>
#include <string_view>

#include "host/flow/dialer.h"

namespace nsrun {

// tunnel+ws://[TOKEN@]HOST[:PORT][/PATH], tunnel+wss://…: streams and datagrams are connected by a tunnel's
// server, where its policy lets them; names go to it unresolved. Options in the query: token-file=FILE, and
// of TLS ca=FILE, cert=FILE and key=FILE, verify=no. One session for all, opened when it is first needed and
// again when it has ended. Errors have ExitCode::usage.
Result<std::unique_ptr<Dialer>> tunnel_dialer(std::string_view url, Executor executor);
bool is_tunnel_url(std::string_view url);

}  // namespace nsrun
