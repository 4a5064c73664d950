#pragma once

#include <map>
#include <memory>
#include <string>

#include "host/tls/identity.h"

namespace nsrun {

// A certificate authority that lives as long as this object: its key never leaves memory. For one thread.
class CertificateAuthority {
 public:
  static constexpr std::size_t max_kept = 1024;  // certificates; then those made so far are forgotten

  // `name`: as programs show it.
  static Result<CertificateAuthority> create(const std::string& name);

  // Its own certificate, for those who are to trust it.
  std::string pem() const;
  // Who proves to be `host`, a canonical name or an address; made when first asked for. Null when it cannot
  // be made: the name is too odd for a certificate.
  std::shared_ptr<const TlsIdentity> identity_for(const std::string& host);

 private:
  CertificateAuthority() = default;
  Result<TlsIdentity> sign(const std::string& host) const;

  tls::Certificate certificate_;
  tls::Key key_;
  tls::Key leaf_key_;  // one for all: who has one of them has this process's memory
  std::map<std::string, std::shared_ptr<const TlsIdentity>> made_;
};

}  // namespace nsrun
