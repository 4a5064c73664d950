#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/flow/dialer.h"
#include "host/tls/tls_context.h"
#include "host/tunnel/upgrade.h"

namespace nsrun {

// Where a tunnel's server is, and how it is asked.
struct TunnelAddress {
  bool tls = false;
  Target server;           // host and port; 80 and 443 where the URL has none
  std::string host;        // with the port where it is written, as the Host field has it
  std::string path = "/";  // with its query
  std::string text;        // the URL, without a user
  std::string token;       // of its user: a URL wss://TOKEN@host/

  // ws://HOST[:PORT][/PATH], wss://…. Errors have ExitCode::usage.
  static Result<TunnelAddress> parse(std::string_view url);
};

struct TunnelAccess {
  std::vector<std::pair<std::string, std::string>> headers;  // of the request
  std::string token;                                         // empty: the address's, or none
  TlsClientOptions tls;
  bool json = false;  // the binary wire is not offered
};

// Opens a tunnel's WebSocket, through an HTTP proxy where the environment says so. For one loop.
class TunnelConnector {
 public:
  static Result<std::unique_ptr<TunnelConnector>> create(Executor executor, TunnelAddress address,
                                                         TunnelAccess access);
  Task<Result<TunnelSocket>> connect();
  const TunnelAddress& address() const { return address_; }

 private:
  TunnelConnector(TunnelAddress address, TunnelAccess access)
      : address_(std::move(address)), access_(std::move(access)) {}
  Task<Result<TunnelSocket>> try_once();

  const TunnelAddress address_;
  const TunnelAccess access_;
  std::unique_ptr<Dialer> dialer_;
  std::unique_ptr<TlsContext> tls_;  // null: plain
};

}  // namespace nsrun
