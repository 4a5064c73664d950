#include "tests/support/catch.h"

#include "host/names/name_server.h"
#include "tests/support/dns_queries.h"
#include "tests/support/name_world.h"

// What the guest is told of names that it may not ask about, or not yet.

using namespace nsrun;
using namespace nsrun::test;

namespace {

DnsCode policy_code(const DnsBytes& answer) { return parse_dns_header(answer)->code; }

}  // namespace

TEST_CASE("a name the guest may not ask about does not exist, and is told to nobody") {
  Sandbox sandbox;
  sandbox.names.permits = [](std::string_view name) { return name == "good.example"; };
  if (GENERATE(false, true)) sandbox.names.synthetic = true;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (const int type : {1, 28, 15, 16, 65, 255}) {
      const DnsBytes answer =
          co_await answer_to(guest, dns_query("secret.evil.example", static_cast<DnsType>(type)));
      CHECK(policy_code(answer) == DnsCode::name_error);
    }
    CHECK(box.world.dialled.empty());
    const DnsBytes good = co_await answer_to(guest, dns_query("GOOD.example", DnsType::a));
    CHECK(policy_code(good) == DnsCode::no_error);
  });
}

TEST_CASE("a name that is no host name is told to nobody where what it is below may not be asked about") {
  Sandbox sandbox;
  sandbox.names.permits = [](std::string_view name) {
    return !name.ends_with(".evil.example") && name != "evil.example";
  };
  sandbox.names.synthetic = GENERATE(false, true);
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    for (const char* name : {"a secret.evil.example", "a\\secret.evil.example", "\\.evil.example",
                             "a;b.\x01.c.EVIL.example", "a\x80.0.evil.example"}) {
      const DnsBytes answer = co_await answer_to(box.guest(), dns_query(name, static_cast<DnsType>(16)));
      CHECK(policy_code(answer) == DnsCode::name_error);
    }
    CHECK(box.world.dialled.empty());
    co_await answer_to(box.guest(), dns_query("a service.good.example", static_cast<DnsType>(16)));
    CHECK(box.world.dialled.size() == 1);
  });
}

TEST_CASE("a name that somebody else might read as an address, or as another host, has no address") {
  Sandbox sandbox;
  sandbox.names.synthetic = true;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    for (const char* name : {"169.254.169.254", "10.1", "0x7f.1", "::1", "evil/.good.example",
                             "evil:80.good.example", "u@evil.good.example"})
      for (const auto type : {DnsType::a, DnsType::aaaa}) {
        const DnsBytes answer = co_await answer_to(box.guest(), dns_query(name, type));
        CHECK(policy_code(answer) == DnsCode::name_error);
      }
    CHECK(box.world.dialled.empty());
  });
}

TEST_CASE("a name that somebody is yet to be asked about has an address, and is told to nobody") {
  Sandbox sandbox;
  sandbox.names.synthetic = true;
  sandbox.names.asks = true;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    const DnsBytes address = co_await answer_to(guest, dns_query("a.example", DnsType::a));
    CHECK(parse_dns_addresses(address).size() == 1);
    for (const int type : {15, 16, 33}) {
      const auto question = dns_query("secret.a.example", static_cast<DnsType>(type));
      const DnsBytes answer = co_await answer_to(guest, question);
      CHECK(policy_code(answer) == DnsCode::no_error);
    }
    CHECK(box.world.dialled.empty());
  });
}

TEST_CASE("a name the guest may not ask about is told to the record, once for a conversation's repetitions") {
  Sandbox sandbox;
  static std::vector<std::string> refused;
  refused.clear();
  sandbox.names.permits = [](std::string_view name) { return name == "good.example"; };
  sandbox.options.refused = [](const FlowKey&, const std::string& name) { refused.push_back(name); };
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (const char* name : {"Evil.example", "good.example", "other.example"})
      for (const auto type : {DnsType::a, DnsType::aaaa}) co_await answer_to(guest, dns_query(name, type));
    CHECK(refused == std::vector<std::string>{"evil.example", "other.example"});
  });
}
