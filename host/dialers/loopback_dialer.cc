#include "host/dialers/loopback_dialer.h"

namespace nsrun {
namespace {

// The other family's address, where the target may be dialled there, too.
std::optional<IpAddress> other_address(const Target& target) {
  const IpAddress& address = target.endpoint.address;
  const bool is_ours = address == IpAddress::loopback4() || address == IpAddress::loopback6();
  if (target.protocol != Protocol::tcp || !target.name.empty() || !target.permits || !is_ours)
    return std::nullopt;
  const IpAddress& other =
      address == IpAddress::loopback4() ? IpAddress::loopback6() : IpAddress::loopback4();
  return target.permits(other) ? std::optional(other) : std::nullopt;
}

Task<Result<std::unique_ptr<Connection>>> dial_either(Dialer& dialer, const Target& target,
                                                      IpAddress other_address) {
  auto far = co_await dialer.dial(target);
  if (far || far.error().code != errno_code(ECONNREFUSED)) co_return far;
  Target other = target;
  other.endpoint.address = other_address;
  auto far_there = co_await dialer.dial(other);
  if (!far_there) co_return far;
  if (target.resolved) target.resolved(other);
  co_return far_there;
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> LoopbackDialer::dial(const Target& target) {
  const auto other = other_address(target);
  return other ? dial_either(inner_, target, *other) : inner_.dial(target);
}

}  // namespace nsrun
