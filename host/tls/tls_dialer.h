#pragma once

#include "host/flow/dialer.h"
#include "host/tls/tls_connection.h"

namespace nsrun {

// TLS with whatever the inner dialer reaches: tcp only. The server proves to be `server`, or where that is
// empty the target's name or address.
class TlsDialer final : public Dialer {
 public:
  // `context` is a client's.
  TlsDialer(std::unique_ptr<Dialer> inner, std::unique_ptr<TlsContext> context, std::string server = {})
      : inner_(std::move(inner)), context_(std::move(context)), server_(std::move(server)) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  std::unique_ptr<Dialer> inner_;
  std::unique_ptr<TlsContext> context_;
  const std::string server_;
};

}  // namespace nsrun
