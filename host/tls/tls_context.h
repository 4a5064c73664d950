#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/tls/identity.h"

namespace nsrun {

// How we speak as a client.
struct TlsClientOptions {
  bool verify = true;                       // the server's certificate, and that it is for the name asked for
  std::string trusted = {};                 // PEM, who vouches for servers; empty: whom the system trusts
  std::vector<std::string> protocols = {};  // ALPN (RFC 7301), in order of preference; empty: not offered
  std::shared_ptr<const TlsIdentity> identity = nullptr;  // shown to a server that asks; null: none
};

// How we speak as a server.
struct TlsServerOptions {
  // Who to be for a client that asks for this name; empty: it named none (RFC 6066 3). Null refuses it.
  std::function<std::shared_ptr<const TlsIdentity>(const std::string& server_name)> identity = {};
  // Which of the protocols that a client offers (ALPN) to speak; nothing refuses the client. Empty function:
  // the offer is passed over.
  std::function<std::optional<std::string>(const std::vector<std::string>& offered)> choose_protocol = {};
  std::string clients_trusted = {};  // PEM: clients must show a certificate that one of these vouches for
};

// What all connections of one kind have in common. Outlives their handshakes; for one thread.
class TlsContext {
 public:
  static Result<std::unique_ptr<TlsContext>> client(TlsClientOptions options);
  static Result<std::unique_ptr<TlsContext>> server(TlsServerOptions options);
  TlsContext(const TlsContext&) = delete;

  bool is_server() const { return server_.has_value(); }
  SSL_CTX* get() const { return context_.get(); }

 private:
  TlsContext() = default;
  Result<void> prepare_client(const TlsClientOptions& options);
  Result<void> prepare_server();
  static int show_identity(SSL* ssl, void* context);
  static int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                             const unsigned char* in, unsigned int in_size, void* context);

  tls::SslContext context_;
  std::optional<TlsServerOptions> server_;
};

}  // namespace nsrun
