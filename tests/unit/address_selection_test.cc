#include "host/dialers/address_selection.h"

#include <map>

#include "tests/support/catch.h"

using namespace nsrun;

namespace {

using Texts = std::vector<std::string>;

// Sorted, where the kernel would send to each of these from that address.
Texts sorted(const std::map<std::string, std::string>& sources, const Texts& texts) {
  std::vector<IpAddress> addresses;
  for (const auto& text : texts) addresses.push_back(*IpAddress::parse(text));
  Texts order;
  for (const auto& address :
       sort_destinations(addresses, [&](const IpAddress& to) -> std::optional<IpAddress> {
         const auto found = sources.find(to.to_string());
         return found == sources.end() ? std::nullopt : IpAddress::parse(found->second);
       }))
    order.push_back(address.to_string());
  return order;
}

}  // namespace

// The examples are those of RFC 6724 10.2, as far as its rules are used here.

TEST_CASE("an address without a route comes last") {
  CHECK(sorted({{"198.51.100.121", "198.51.100.117"}}, {"2001:db8:1::1", "198.51.100.121"}) ==
        Texts{"198.51.100.121", "2001:db8:1::1"});
  CHECK(sorted({{"2001:db8:1::1", "2001:db8:1::2"}}, {"198.51.100.121", "2001:db8:1::1"}) ==
        Texts{"2001:db8:1::1", "198.51.100.121"});
  CHECK(sorted({}, {"198.51.100.121", "2001:db8:1::1"}).size() == 2);
}

TEST_CASE("an address whose scope the source does not have comes after others") {
  CHECK(sorted({{"2001:db8:1::1", "fe80::1"}, {"198.51.100.121", "198.51.100.117"}},
               {"2001:db8:1::1", "198.51.100.121"}) == Texts{"198.51.100.121", "2001:db8:1::1"});
  CHECK(sorted({{"2001:db8:1::1", "2001:db8:1::2"}, {"198.51.100.121", "169.254.13.78"}},
               {"198.51.100.121", "2001:db8:1::1"}) == Texts{"2001:db8:1::1", "198.51.100.121"});
}

TEST_CASE("global IPv6 comes before IPv4, and that before addresses for local use") {
  const std::map<std::string, std::string> all{{"2001:db8:1::1", "2001:db8:1::2"},
                                               {"10.1.2.3", "10.1.2.4"},
                                               {"2002:c633:6401::1", "2002:c633:6401::2"},
                                               {"fd11::1", "fd11::2"}};
  CHECK(sorted(all, {"fd11::1", "10.1.2.3", "2002:c633:6401::1", "2001:db8:1::1"}) ==
        Texts{"2001:db8:1::1", "10.1.2.3", "2002:c633:6401::1", "fd11::1"});
}

TEST_CASE("a host with local IPv6 addresses alone reaches the world by IPv4 first") {
  CHECK(sorted({{"2001:db8:1::1", "fd11::2"}, {"198.51.100.1", "10.0.0.2"}},
               {"2001:db8:1::1", "198.51.100.1"}) == Texts{"198.51.100.1", "2001:db8:1::1"});
}

TEST_CASE("addresses that are equally good keep their order, and so does loopback") {
  const std::map<std::string, std::string> all{
      {"192.0.2.1", "192.0.2.9"}, {"192.0.2.2", "192.0.2.9"}, {"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}};
  CHECK(sorted(all, {"192.0.2.2", "192.0.2.1"}) == Texts{"192.0.2.2", "192.0.2.1"});
  CHECK(sorted(all, {"127.0.0.1", "::1"}) == Texts{"127.0.0.1", "::1"});
  CHECK(sorted(all, {"::1", "127.0.0.1"}) == Texts{"::1", "127.0.0.1"});
}

TEST_CASE("the kernel is asked for the source of what is sent") {
  CHECK(source_for(IpAddress::v4(127, 0, 0, 1)) == IpAddress::v4(127, 0, 0, 1));
}
