#include "host/tls/identity.h"

#include <openssl/pem.h>

namespace nsrun {

Result<TlsIdentity> TlsIdentity::from_pem(const std::string& certificates, const std::string& key) {
  TlsIdentity identity;
  const tls::Bio text(BIO_new_mem_buf(certificates.data(), static_cast<int>(certificates.size())));
  identity.certificate.reset(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  if (!identity.certificate) return tls::openssl_error("cannot read a certificate (PEM)", EINVAL);
  while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr))
    identity.chain.emplace_back(next);
  ERR_clear_error();  // the end of the text is one

  const tls::Bio key_text(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  identity.key.reset(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!identity.key) return tls::openssl_error("cannot read a private key (PEM, no passphrase)", EINVAL);
  if (X509_check_private_key(identity.certificate.get(), identity.key.get()) != 1)
    return tls::openssl_error("the private key is not the certificate's", EINVAL);
  return identity;
}

}  // namespace nsrun
