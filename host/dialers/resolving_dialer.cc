#include "host/dialers/resolving_dialer.h"

#include "host/dialers/address_race.h"
#include "host/dialers/loop_resolver.h"
#include "host/names/host_resolver.h"

namespace nsrun {

Task<Result<std::unique_ptr<Connection>>> dial_by_name(Executor executor, const Target& target,
                                                       Dialer& by_address) {
  auto addresses = co_await loop_resolver(executor).resolve(target.name);
  if (!addresses) co_return addresses.error();
  if (target.permits)
    std::erase_if(*addresses, [&](const IpAddress& address) { return !target.permits(address); });
  if (addresses->empty()) co_return Error{"every address of " + target.name + " is denied", denied_by_policy};
  co_return co_await dial_addresses(target, std::move(*addresses), by_address);
}

ResolvingDialer::ResolvingDialer(Executor executor, std::unique_ptr<Dialer> inner)
    : executor_(executor), inner_(std::move(inner)) {}

Task<Result<std::unique_ptr<Connection>>> ResolvingDialer::dial(const Target& target) {
  if (target.name.empty()) co_return co_await inner_->dial(target);
  co_return co_await dial_by_name(executor_, target, *inner_);
}

}  // namespace nsrun
