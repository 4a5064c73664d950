#include "host/tls/openssl.h"

namespace nsrun::tls {

Error openssl_error(std::string doing, int code) {
  const auto first = ERR_get_error();
  const char* reason = ERR_reason_error_string(first);
  ERR_clear_error();
  if (reason) doing += std::string(": ") + reason;
  return {std::move(doing), errno_code(code)};
}

}  // namespace nsrun::tls
