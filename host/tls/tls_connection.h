#pragma once

#include <memory>
#include <string>

#include "host/tls/tls_context.h"
#include "runtime/connection.h"

namespace nsrun {

constexpr auto tls_handshake_limit = 30s;  // then ETIMEDOUT

// A stream inside TLS on another connection. The end of one direction is its close_notify (RFC 8446 6.1), so
// a half-close is one; a stream that ends without is broken (ECONNRESET), for it may have been cut short.
class TlsConnection final : public Connection {
 public:
  ~TlsConnection() override;

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;
  int carrier_socket() const override;

  // After finish(): until the close_notify was taken by the connection below, or cannot be. One that is
  // destroyed before that is cut off.
  Task<> end_sent();

  // As agreed upon in the handshake; empty: none.
  const std::string& protocol() const;  // ALPN
  // Of a server's end: the name that the client asked for, as it wrote it; empty: none.
  const std::string& server_name() const;

 private:
  friend Task<Result<std::unique_ptr<TlsConnection>>> start_tls(std::unique_ptr<Connection>,
                                                                const TlsContext&, std::string,
                                                                Clock::duration);
  struct Session;
  explicit TlsConnection(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  static Task<> send_end(std::shared_ptr<Session> session);
  std::shared_ptr<Session> session_;  // shared with the task that sends our end
};

using TlsResult = Result<std::unique_ptr<TlsConnection>>;

// The handshake on a stream, as client or server. `context` outlives the call. Errors: EPROTO; EACCES where
// the peer's certificate is not to be trusted; ECONNRESET; ETIMEDOUT.
// `server`: the name or address that the server has to prove, and is told. `limit`: for all of the handshake,
// however the peer spreads it.
Task<TlsResult> tls_connect(std::unique_ptr<Connection> inner, const TlsContext& context, std::string server,
                            Clock::duration limit = tls_handshake_limit);
Task<TlsResult> tls_accept(std::unique_ptr<Connection> inner, const TlsContext& context,
                           Clock::duration limit = tls_handshake_limit);

}  // namespace nsrun
