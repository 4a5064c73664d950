#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "runtime/c_deleter.h"
#include "runtime/result.h"

// OpenSSL's objects with owners, and its errors as ours.

namespace nsrun::tls {

using Certificate = std::unique_ptr<X509, CDeleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, CDeleter<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, CDeleter<BIO_free_all>>;
using SslContext = std::unique_ptr<SSL_CTX, CDeleter<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, CDeleter<SSL_free>>;

// Says why OpenSSL's last call failed, and empties its queue of errors, which is one for each thread.
Error openssl_error(std::string doing, int code = EPROTO);

}  // namespace nsrun::tls
