#pragma once

#include <string>
#include <vector>

#include "host/tls/openssl.h"

namespace nsrun {

// What one end of a TLS connection shows of itself: a certificate, those that vouch for it, and its key.
struct TlsIdentity {
  tls::Certificate certificate;
  std::vector<tls::Certificate> chain;  // from the one that signed it upwards; without the root
  tls::Key key;

  // `certificates`: the end's own first. Both as PEM.
  static Result<TlsIdentity> from_pem(const std::string& certificates, const std::string& key);
};

}  // namespace nsrun
