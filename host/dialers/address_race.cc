#include "host/dialers/address_race.h"

#include <algorithm>

#include "runtime/staggered.h"

// Theory of operation (Happy Eyeballs, RFC 8305)
//
// An address may swallow what is sent to it, IPv6 without a way out most of all. So a TCP target's next
// address is dialled as soon as one has failed, or has not answered for 250 ms, and the first connection that
// is there is taken; the others are given up. The addresses are sorted by RFC 6724, then the families take
// turns, and the one by which the asker came has the first: a guest that asked for an IPv4 address waits for
// no IPv6 network.
//
// UDP and echo sockets are connected at once, whether or not anybody answers: there the first address is
// taken to which there is a route.

namespace nsrun {
namespace {

using Far = std::unique_ptr<Connection>;
using Dialled = Result<Far>;

constexpr std::size_t max_addresses = 8;    // of one name; the rest is not tried
constexpr auto connection_attempt = 250ms;  // RFC 8305 5; then the next address is dialled, too
constexpr auto datagram_attempt = 5s;       // where a dialer takes its time even for datagrams

// This host has no route to the address: the error of another address is more useful.
bool has_no_route(const Error& error) {
  return error.code.value() == ENETUNREACH || error.code.value() == EADDRNOTAVAIL;
}

class AddressRace {
 public:
  AddressRace(const Target& target, Dialer& dialer) : target_(target), dialer_(dialer) {}

  Task<Dialled> run(const std::vector<IpAddress>& addresses) {
    const Clock::duration stagger =
        target_.protocol == Protocol::tcp ? Clock::duration(connection_attempt) : datagram_attempt;
    for (const IpAddress& address : addresses) ways_.push_back(way_to(address));
    const std::function<Task<std::optional<Far>>(std::size_t)> attempt = [this](std::size_t i) {
      return dial(i);
    };
    auto far = co_await race_staggered(std::vector<Clock::duration>(ways_.size(), stagger), attempt);
    if (!far) co_return std::move(failure_);
    if (told_ != *taken_) tell(*taken_);
    co_return std::move(*far);
  }

 private:
  Target way_to(const IpAddress& address) const {
    Target way = target_;
    way.name.clear();
    way.endpoint.address = address;
    return way;
  }

  void tell(std::size_t i) {
    told_ = i;
    if (target_.resolved) target_.resolved(ways_[i]);
  }

  Task<std::optional<Far>> dial(std::size_t i) {
    tell(i);
    auto far = co_await dialer_.dial(ways_[i]);
    if (!far) {
      if (!has_failed_ || !has_no_route(far.error())) failure_ = far.error();
      has_failed_ = true;
      co_return std::nullopt;
    }
    if (!taken_) taken_ = i;
    co_return std::move(*far);
  }

  const Target& target_;
  Dialer& dialer_;
  std::vector<Target> ways_;
  std::size_t told_ = 0;              // the way that target_.resolved was told of last
  std::optional<std::size_t> taken_;  // the first that succeeded
  bool has_failed_ = false;
  Error failure_{"cannot connect to " + target_.to_string(), errno_code(ETIMEDOUT)};
};

}  // namespace

std::vector<IpAddress> order_addresses(const std::vector<IpAddress>& addresses, const IpAddress& source) {
  std::vector<IpAddress> first, second, order;
  if (addresses.empty()) return order;
  const bool v4_first = source.is_unspecified() ? addresses.front().is_v4() : source.is_v4();
  for (const IpAddress& address : addresses)
    (address.is_v4() == v4_first ? first : second).push_back(address);
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) order.push_back(first[i]);
    if (i < second.size()) order.push_back(second[i]);
  }
  return order;
}

Task<Dialled> dial_addresses(const Target& target, std::vector<IpAddress> addresses, Dialer& by_address,
                             SourceLookup source) {
  auto order = order_addresses(sort_destinations(addresses, source), target.source.address);
  if (order.size() > max_addresses) order.resize(max_addresses);
  AddressRace race(target, by_address);
  co_return co_await race.run(order);
}

}  // namespace nsrun
