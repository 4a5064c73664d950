#include "host/dialers/proxy.h"

namespace nsrun {

Task<Result<void>> read_exactly(Connection& from, MutableBytes into) {
  while (!into.empty()) {
    const auto chunk = co_await from.read(into);
    if (!chunk) co_return chunk.error();
    if (chunk->end) co_return Error{"the connection ended too early", errno_code(ECONNRESET)};
    into = into.subspan(chunk->size);
  }
  co_return Result<void>{};
}

Error proxy_error(const std::string& proxy, const Error& cause) {
  return {"proxy " + proxy + ": " + cause.doing, cause.code, cause.advice, cause.exit};
}

Error proxy_unreachable(const std::string& proxy, const Error& cause) {
  Error error = proxy_error(proxy, cause);
  if (error.advice.empty()) error.advice = "is the proxy running, and its address right?";
  return error;
}

Error proxy_timeout(const std::string& proxy) {
  return {"proxy " + proxy + " did not answer", errno_code(ETIMEDOUT), "does it speak this protocol?"};
}

}  // namespace nsrun
