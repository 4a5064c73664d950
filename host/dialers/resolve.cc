// getaddrinfo runs on the one helper thread Asio keeps for its resolvers, which the io_context joins. It
// cannot be interrupted, so the waiting task and the resolver share the lookup: a cancelled task leaves at
// once, and the answer, when it comes, is dropped.
//
// One thread: lookups of one process wait for each other, and the end of the io_context for the running one.

#include "host/dialers/resolve.h"

#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

namespace nsrun {
namespace {

struct Lookup {
  explicit Lookup(Executor executor) : answered(executor) {}
  Signal answered;
  boost::system::error_code error;
  std::vector<IpAddress> addresses;
};

IpAddress from_asio(const asio::ip::address& address) {
  if (address.is_v4()) return IpAddress::v4_from(address.to_v4().to_bytes().data());
  return IpAddress::v6_from(address.to_v6().to_bytes().data());
}

}  // namespace

Task<Result<std::vector<IpAddress>>> resolve(Executor executor, const std::string& name) {
  const auto lookup = std::make_shared<Lookup>(executor);
  asio::ip::basic_resolver<asio::ip::tcp, Executor> resolver(executor);
  resolver.async_resolve(name, "", [lookup](const auto& error, const auto& results) {
    lookup->error = error;
    for (const auto& entry : results) lookup->addresses.push_back(from_asio(entry.endpoint().address()));
    lookup->answered.raise();
  });
  co_await lookup->answered.wait();
  if (lookup->error || lookup->addresses.empty()) {
    const auto why = lookup->error ? ": " + lookup->error.message() : std::string(": it has no address");
    co_return Error{"cannot resolve " + name + why, errno_code(EHOSTUNREACH)};
  }
  co_return std::move(lookup->addresses);
}

}  // namespace nsrun
