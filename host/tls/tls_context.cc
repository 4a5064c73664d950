#include "host/tls/tls_context.h"

#include <openssl/pem.h>

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::size_t max_alpn_name = 255;  // bytes: RFC 7301 3.1

tls::SslContext make(const SSL_METHOD* method) {
  tls::SslContext context(SSL_CTX_new(method));
  if (!context) throw ErrorException(tls::openssl_error("cannot use TLS"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS);  // an idle connection holds some 34 KiB otherwise
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

Result<void> trust(SSL_CTX* context, const std::string& pem) {
  const tls::Bio text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
    const tls::Certificate certificate(next);
    count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), next);
  }
  ERR_clear_error();  // the end of the text is one
  if (count == 0) return Error{"there is no certificate (PEM) among those to trust", errno_code(EINVAL)};
  return {};
}

Result<void> show(SSL_CTX* context, const TlsIdentity& identity) {
  if (SSL_CTX_use_certificate(context, identity.certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, identity.key.get()) != 1)
    return tls::openssl_error("cannot use a certificate", EINVAL);
  for (const auto& certificate : identity.chain) SSL_CTX_add1_chain_cert(context, certificate.get());
  return {};
}

Result<void> offer(SSL_CTX* context, const std::vector<std::string>& protocols) {
  std::string list;  // each with its length in front, RFC 7301 3.1
  for (const auto& protocol : protocols) {
    if (protocol.empty() || protocol.size() > max_alpn_name)
      return Error{"'" + protocol + "' is not a valid protocol (ALPN)", errno_code(EINVAL)};
    list += static_cast<char>(protocol.size());
    list += protocol;
  }
  if (list.empty()) return {};
  // Zero is success here, alone among OpenSSL's functions.
  if (SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(list.data()),
                              static_cast<unsigned>(list.size())) != 0)
    return tls::openssl_error("cannot offer protocols (ALPN)");
  return {};
}

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::client(TlsClientOptions options) {
  std::unique_ptr<TlsContext> made(new TlsContext);
  if (auto done = made->prepare_client(options); !done) return done.error();
  return made;
}

Result<std::unique_ptr<TlsContext>> TlsContext::server(TlsServerOptions options) {
  std::unique_ptr<TlsContext> made(new TlsContext);
  made->server_ = std::move(options);
  if (auto done = made->prepare_server(); !done) return done.error();
  return made;
}

Result<void> TlsContext::prepare_client(const TlsClientOptions& options) {
  context_ = make(TLS_client_method());
  SSL_CTX_set_verify(get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.trusted.empty()) {
    if (options.verify && SSL_CTX_set_default_verify_paths(get()) != 1)
      return tls::openssl_error("cannot read whom the system trusts");
  } else if (auto done = trust(get(), options.trusted); !done) {
    return done;
  }
  if (options.identity)
    if (auto done = show(get(), *options.identity); !done) return done;
  return offer(get(), options.protocols);
}

Result<void> TlsContext::prepare_server() {
  context_ = make(TLS_server_method());
  // Tickets would be written when a client may already have closed, and meet it with a reset.
  SSL_CTX_set_num_tickets(get(), 0);
  SSL_CTX_set_cert_cb(get(), show_identity, this);
  if (server_->choose_protocol) SSL_CTX_set_alpn_select_cb(get(), choose_protocol, this);
  if (server_->clients_trusted.empty()) return {};
  SSL_CTX_set_verify(get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return trust(get(), server_->clients_trusted);
}

int TlsContext::show_identity(SSL* ssl, void* context) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto identity = static_cast<TlsContext*>(context)->server_->identity(name ? name : "");
  if (!identity) return 0;
  if (SSL_use_certificate(ssl, identity->certificate.get()) != 1 ||
      SSL_use_PrivateKey(ssl, identity->key.get()) != 1)
    return 0;
  for (const auto& certificate : identity->chain) SSL_add1_chain_cert(ssl, certificate.get());
  return 1;
}

int TlsContext::choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                                const unsigned char* in, unsigned int in_size, void* context) {
  std::vector<std::string> offered;
  // OpenSSL has checked the list's form.
  for (unsigned at = 0; at < in_size; at += 1 + in[at])
    offered.emplace_back(reinterpret_cast<const char*>(in + at + 1), in[at]);
  const auto chosen = static_cast<TlsContext*>(context)->server_->choose_protocol(offered);
  if (!chosen) return SSL_TLSEXT_ERR_ALERT_FATAL;
  if (chosen->empty()) return SSL_TLSEXT_ERR_NOACK;
  const auto place = std::find(offered.begin(), offered.end(), *chosen);
  if (place == offered.end()) return SSL_TLSEXT_ERR_ALERT_FATAL;
  // The answer must point into what outlives this call: the offer itself.
  unsigned at = 0;
  for (auto before = offered.begin(); before != place; ++before) at += 1 + in[at];
  *out = in + at + 1;
  *out_size = in[at];
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace nsrun
