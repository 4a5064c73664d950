#include "host/dialers/resolving_dialer.h"

#include "host/dialers/resolve.h"

namespace nsrun {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

constexpr std::size_t max_addresses = 8;  // of one name; the rest is not tried
constexpr auto attempt_limit = 5s;        // for each address but the last, then the next is tried

Task<Dialled> attempt(Dialer& dialer, const Target& target, bool last) {
  if (last) co_return co_await dialer.dial(target);
  auto dialled = co_await within(attempt_limit, dialer.dial(target));
  if (dialled) co_return std::move(*dialled);
  co_return Error{"cannot connect to " + target.to_string(), errno_code(ETIMEDOUT)};
}

}  // namespace

Task<Dialled> dial_by_name(Executor executor, const Target& target, Dialer& by_address) {
  auto addresses = co_await resolve(executor, target.name);
  if (!addresses) co_return addresses.error();

  if (target.permits)
    std::erase_if(*addresses, [&](const IpAddress& address) { return !target.permits(address); });
  if (addresses->size() > max_addresses) addresses->resize(max_addresses);

  Target resolved = target;
  resolved.name.clear();
  Dialled dialled = Error{"every address of " + target.name + " is denied", denied_by_policy};
  for (const auto& address : *addresses) {
    resolved.endpoint.address = address;
    if (target.resolved) target.resolved(resolved);
    dialled = co_await attempt(by_address, resolved, address == addresses->back());
    if (dialled) break;
  }
  co_return dialled;
}

ResolvingDialer::ResolvingDialer(Executor executor, std::unique_ptr<Dialer> inner)
    : executor_(executor), inner_(std::move(inner)) {}

Task<Dialled> ResolvingDialer::dial(const Target& target) {
  if (target.name.empty()) co_return co_await inner_->dial(target);
  co_return co_await dial_by_name(executor_, target, *inner_);
}

}  // namespace nsrun
