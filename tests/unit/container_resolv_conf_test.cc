#include "tests/support/catch.h"

#include "container/files/resolv_conf.h"

using namespace nsrun;

TEST_CASE("the guest's resolv.conf names our name servers and keeps the host's search and options") {
  constexpr auto host =
      "# made by hand\nnameserver 127.0.0.53\nsearch a.example b.example\noptions\tedns0\n"
      "domain x.example\nsearching nothing\n";
  CHECK(guest_resolv_conf({}, host) ==
        "nameserver 10.0.2.3\nnameserver fd00::3\nsearch a.example b.example\noptions\tedns0\ndomain "
        "x.example\n");
}

TEST_CASE("without IPv6 there is one name server, and a last line without an end is a line") {
  NetworkOptions network;
  network.ipv6 = false;
  CHECK(guest_resolv_conf(network, "search a.example") == "nameserver 10.0.2.3\nsearch a.example\n");
  CHECK(guest_resolv_conf(network, "") == "nameserver 10.0.2.3\n");
}
