#include "host/tls/certificate_authority.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "runtime/address.h"

namespace nsrun {
namespace {

constexpr long backdated = 24 * 3600;   // seconds: for guests whose clock is behind
constexpr long lasts = 30 * 24 * 3600;  // seconds from now
constexpr int serial_bytes = 16;        // RFC 5280 4.1.2.2: at most 20
constexpr long version_3 = 2;           // RFC 5280 4.1.2.1
constexpr std::size_t max_common = 64;  // characters: ub-common-name, RFC 5280 A.1

struct Extension {
  int id;  // NID_*
  std::string value;
};

bool add_extension(X509* certificate, X509* issuer, const Extension& extension) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension.id, extension.value.c_str());
  if (!made) return false;
  const bool added = X509_add_ext(certificate, made, -1) == 1;
  X509_EXTENSION_free(made);
  return added;
}

// Positive and without a leading zero byte.
bool set_serial(X509* certificate) {
  unsigned char bytes[serial_bytes];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  return set;
}

bool set_subject(X509* certificate, const std::string& name) {
  const auto common = name.substr(0, max_common);
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0) == 1;
}

// Everything but issuer, extensions and signature.
tls::Certificate blank(const std::string& subject, EVP_PKEY* key) {
  tls::Certificate certificate(X509_new());
  const bool filled = certificate && X509_set_version(certificate.get(), version_3) == 1 &&
                      set_serial(certificate.get()) && set_subject(certificate.get(), subject) &&
                      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -backdated) &&
                      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), lasts) &&
                      X509_set_pubkey(certificate.get(), key) == 1;
  return filled ? std::move(certificate) : nullptr;
}

bool finish(X509* certificate, X509* issuer, EVP_PKEY* issuer_key, const std::vector<Extension>& extensions) {
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1) return false;
  for (const auto& extension : extensions)
    if (!add_extension(certificate, issuer, extension)) return false;
  return X509_sign(certificate, issuer_key, EVP_sha256()) > 0;
}

}  // namespace

Result<CertificateAuthority> CertificateAuthority::create(const std::string& name) {
  CertificateAuthority made;
  made.key_.reset(EVP_EC_gen("P-256"));
  made.leaf_key_.reset(EVP_EC_gen("P-256"));
  if (!made.key_ || !made.leaf_key_) return tls::openssl_error("cannot make a key");
  made.certificate_ = blank(name, made.key_.get());
  X509* const own = made.certificate_.get();
  const std::vector<Extension> extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                             {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                             {NID_subject_key_identifier, "hash"}};
  if (!own || !finish(own, own, made.key_.get(), extensions))
    return tls::openssl_error("cannot make a certificate authority");
  return made;
}

std::string CertificateAuthority::pem() const {
  const tls::Bio text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(text.get(), certificate_.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<TlsIdentity> CertificateAuthority::sign(const std::string& host) const {
  const bool is_address = IpAddress::parse(host).has_value();
  TlsIdentity identity;
  identity.certificate = blank(host, leaf_key_.get());
  // X509V3_EXT_conf_nid reads a list: a comma would begin another name.
  const bool plain = host.find_first_of(",\n\r\\") == host.npos && !host.empty();
  const std::vector<Extension> extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                             {NID_key_usage, "critical,digitalSignature"},
                                             {NID_ext_key_usage, "serverAuth,clientAuth"},
                                             {NID_subject_key_identifier, "hash"},
                                             {NID_authority_key_identifier, "keyid"},
                                             {NID_subject_alt_name, (is_address ? "IP:" : "DNS:") + host}};
  if (!plain || !identity.certificate ||
      !finish(identity.certificate.get(), certificate_.get(), key_.get(), extensions))
    return tls::openssl_error("cannot make a certificate for " + host);
  EVP_PKEY_up_ref(leaf_key_.get());
  identity.key.reset(leaf_key_.get());
  return identity;
}

std::shared_ptr<const TlsIdentity> CertificateAuthority::identity_for(const std::string& host) {
  if (const auto known = made_.find(host); known != made_.end()) return known->second;
  auto made = sign(host);
  if (!made) return nullptr;
  if (made_.size() >= max_kept) made_.clear();
  return made_[host] = std::make_shared<const TlsIdentity>(std::move(*made));
}

}  // namespace nsrun
