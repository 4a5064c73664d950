#include "host/outside/via_dialer.h"

#include "host/outside/dial_url.h"

namespace nsrun {

Task<Result<std::unique_ptr<Connection>>> ViaDialer::dial(const Target& target) {
  if (target.via.empty()) co_return co_await usual_.dial(target);
  auto& dialer = others_[target.via];
  if (!dialer) {
    auto made = dialer_from_url(target.via, executor_);
    if (!made) co_return made.error();
    dialer = std::move(*made);
  }
  co_return co_await dialer->dial(target);
}

}  // namespace nsrun
