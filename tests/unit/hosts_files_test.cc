#include <string>

#include "host/names/hosts_file.h"
#include "host/names/name_sources.h"
#include "host/names/resolvers.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

using Sources = std::vector<NameSource>;
constexpr auto files = NameSource::hosts_file;
constexpr auto dns = NameSource::dns;

std::vector<std::string> addresses(std::string_view text, std::string_view name) {
  std::vector<std::string> all;
  for (const IpAddress& address : addresses_in_hosts(text, name)) all.push_back(address.to_string());
  return all;
}
using AddressTexts = std::vector<std::string>;

constexpr std::string_view hosts_text =
    "127.0.0.1\tlocalhost localhost.localdomain\n"
    "# 192.0.2.1 commented\n"
    "192.0.2.2 web.test web # alias.test\n"
    "2001:db8::2   web.test\n"
    "192.0.2.2 web.test\n"
    "192.0.2.300 broken.test\n"
    "fe80::1%eth0 scoped.test\n"
    "192.0.2.4 rooted.test.\n"
    "192.0.2.5 last.test";

}  // namespace

TEST_CASE("the hosts file gives a name all its addresses, once, in the order of the lines") {
  CHECK(addresses(hosts_text, "web.test") == AddressTexts{"192.0.2.2", "2001:db8::2"});
  CHECK(addresses(hosts_text, "web") == AddressTexts{"192.0.2.2"});
  CHECK(addresses(hosts_text, "localhost") == AddressTexts{"127.0.0.1"});
  CHECK(addresses(hosts_text, "rooted.test") == AddressTexts{"192.0.2.4"});
  CHECK(addresses(hosts_text, "last.test") == AddressTexts{"192.0.2.5"});
}

TEST_CASE("in the hosts file parts of names, comments and what is not an address give no address") {
  for (const auto name : {"", "eb.test", "web.tes", "test", "commented", "alias.test", "broken.test",
                          "scoped.test", "192.0.2.2"})
    CHECK(addresses(hosts_text, name).empty());
}

TEST_CASE("nsswitch.conf says whether the hosts file or DNS comes first") {
  CHECK(parse_nsswitch("") == Sources{files, dns});
  CHECK(parse_nsswitch("passwd: files\nhosts: files dns\n") == Sources{files, dns});
  CHECK(parse_nsswitch("hosts:dns files") == Sources{dns, files});
  CHECK(parse_nsswitch("  hosts:\tfiles # dns\n") == Sources{files});
  CHECK(parse_nsswitch("#hosts: dns\n") == Sources{files, dns});
}

TEST_CASE("services and actions of nsswitch.conf that are plug-ins' are passed over") {
  CHECK(parse_nsswitch(
            "hosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns myhostname") ==
        Sources{files, dns});
  CHECK(parse_nsswitch("hosts: mymachines[success=return]dns files") == Sources{dns, files});
  CHECK(parse_nsswitch("hosts: dns [without an end files") == Sources{dns});
  CHECK(parse_nsswitch("hosts: mdns4 wins") == Sources{files, dns});
}

TEST_CASE("resolv.conf's last search or domain line counts, and ndots") {
  const auto config = parse_resolv_conf("domain first.test\nsearch A.test. b.test ..bad\noptions ndots:3\n");
  CHECK(config.search == std::vector<std::string>{"a.test", "b.test"});
  CHECK(config.ndots == 3);
  CHECK(parse_resolv_conf("search a.test b.test\ndomain c.test d.test\n").search ==
        std::vector<std::string>{"c.test"});
  CHECK(parse_resolv_conf("options ndots:0\n").ndots == 0);
  CHECK(parse_resolv_conf("options ndots:99\n").ndots == 15);
  CHECK(parse_resolv_conf("").ndots == 1);
}
