#include "host/names/name_server.h"

#include <boost/asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include "tests/support/catch.h"

#include "host/names/dns_conversation.h"
#include "tests/support/dns_queries.h"
#include "tests/support/name_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

DnsCode code_of(const DnsBytes& answer) { return parse_dns_header(answer)->code; }
std::uint16_t id_of(const DnsBytes& message) { return parse_dns_header(message)->id; }
using Addresses = std::vector<IpAddress>;

}  // namespace

TEST_CASE("a query is forwarded as it is, but for its id, and its answer comes back under the guest's") {
  Sandbox sandbox;
  static std::vector<DnsBytes> seen;
  seen.clear();
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) {
    seen.push_back(query);
    return answers(query);
  });
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes query = with_edns(dns_query("Example.org", DnsType::a, 0x4242), 4096);
    const DnsBytes answer = co_await answer_to(box.guest(), query);
    CHECK(id_of(answer) == 0x4242);
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
    REQUIRE(seen.size() == 1);
    DnsBytes forwarded = seen[0];
    set_dns_id(forwarded, 0x4242);
    CHECK(forwarded == query);
  });
}

TEST_CASE("every upstream query has a socket and an id of its own") {
  Sandbox sandbox;
  static std::set<std::uint16_t> ids;
  ids.clear();
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) {
    ids.insert(id_of(query));
    return answers(query);
  });
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (int i = 0; i < 16; ++i) co_await answer_to(guest, dns_query("example.org", DnsType::a, 7));
    CHECK(box.world.dialled.size() == 16);
    CHECK(ids.size() > 12);  // 16 of 65,536: that four coincide happens once in 10^12
  });
}

TEST_CASE("A and AAAA asked at once do not wait for each other") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) {
    return parse_dns_question(query)->type == DnsType::a ? silent(query) : answers(query);
  });
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    guest.ask(dns_query("example.org", DnsType::a, 1));
    guest.ask(dns_query("example.org", DnsType::aaaa, 2));
    const DnsBytes quick = co_await guest.next_answer();
    const DnsBytes slow = co_await guest.next_answer();
    CHECK(id_of(quick) == 2);
    CHECK(id_of(slow) == 1);
  });
}

TEST_CASE("the second server is asked when the first is silent, refuses or fails") {
  Sandbox sandbox;
  const int how = GENERATE(0, 1, 2);
  if (how == 0) sandbox.server(Protocol::udp, first_server, silent);
  if (how == 2) sandbox.server(Protocol::udp, first_server, says(DnsCode::server_failure));
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
    CHECK(box.world.dialled == std::vector<std::string>{"udp/192.0.2.1:53", "udp/192.0.2.2:53"});
  });
}

TEST_CASE("a name that does not exist is an answer, and no other server is asked") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, says(DnsCode::name_error));
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(code_of(answer) == DnsCode::name_error);
    CHECK(box.world.dialled.size() == 1);
  });
}

TEST_CASE("the guest hears of a server failure after as many rounds as resolv.conf says") {
  Sandbox sandbox;
  sandbox.resolvers = Resolvers(ResolverConfig{{first_server, second_server}, 20ms, 2});
  sandbox.server(Protocol::udp, first_server, silent);
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a, 9));
    CHECK(code_of(answer) == DnsCode::server_failure);
    CHECK(id_of(answer) == 9);
    CHECK(parse_dns_question(answer)->name == "example.org");
    CHECK(box.world.dialled.size() == 4);
  });
}

TEST_CASE("when every server fails the guest gets what the last one said") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, says(DnsCode::server_failure));
  sandbox.server(Protocol::udp, second_server, says(DnsCode::refused));
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(code_of(answer) == DnsCode::refused);
  });
}

TEST_CASE("answers with another id or another question, and queries, are not taken for the answer") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) {
    const DnsReply wrong{.addresses = {IpAddress::v4(6, 6, 6, 6)}};
    DnsBytes spoofed = encode_dns_reply(query, wrong);
    set_dns_id(spoofed, static_cast<std::uint16_t>(id_of(query) + 1));
    const DnsBytes other_name = encode_dns_reply(dns_query("example.com", DnsType::a, id_of(query)), wrong);
    const DnsBytes other_type =
        encode_dns_reply(dns_query("example.org", DnsType::aaaa, id_of(query)), wrong);
    return Replies{spoofed, other_name, other_type, query, DnsBytes(3), answers(query)[0]};
  });
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
  });
}

TEST_CASE("a server that answers only with forgeries is given up") {
  Sandbox sandbox;
  sandbox.resolvers = Resolvers(ResolverConfig{{first_server}, 1h, 1});
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) { return Replies(100, query); });
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(code_of(answer) == DnsCode::server_failure);
  });
}

TEST_CASE("a truncated answer is passed on truncated") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, [](const DnsBytes& query) {
    DnsBytes answer = encode_dns_reply(query, {});
    answer[2] |= std::byte{2};
    return Replies{answer};
  });
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_header(answer)->truncated);
  });
}

TEST_CASE("two queries sent at once over TCP are asked over TCP and both answered") {
  Sandbox sandbox;
  sandbox.server(Protocol::tcp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest(Transport::stream);
    DnsBytes both = framed(dns_query("a.example", DnsType::a, 1));
    const DnsBytes other = framed(dns_query("b.example", DnsType::a, 2));
    both.insert(both.end(), other.begin(), other.end());
    guest.to_server.send(both);
    std::map<std::uint16_t, std::string> names;
    for (int i = 0; i < 2; ++i) {
      const DnsBytes answer = co_await guest.next_answer();
      names[id_of(answer)] = parse_dns_question(answer)->name;
    }
    CHECK(names == std::map<std::uint16_t, std::string>{{1, "a.example"}, {2, "b.example"}});
    CHECK(box.world.dialled == std::vector<std::string>{"tcp/192.0.2.1:53", "tcp/192.0.2.1:53"});
  });
}

TEST_CASE("a server that takes no TCP is asked over UDP") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer =
        co_await answer_to(box.guest(Transport::stream), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
    CHECK(box.world.dialled == std::vector<std::string>{"tcp/192.0.2.1:53", "udp/192.0.2.1:53"});
  });
}

TEST_CASE("a guest that closes its direction after a query over TCP still gets the answer, then the end") {
  Sandbox sandbox;
  sandbox.server(Protocol::tcp, first_server, silent);
  sandbox.server(Protocol::tcp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest(Transport::stream);
    guest.ask(dns_query("example.org", DnsType::a, 3));
    guest.hang_up();
    const DnsBytes answer = co_await guest.next_answer();
    CHECK(id_of(answer) == 3);
    co_await box.serving.join();
    CHECK(guest.finished);
    CHECK_FALSE(guest.was_reset);
  });
}

TEST_CASE("a TCP connection on which nothing is asked is closed") {
  Sandbox sandbox;
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest guest(box.executor(), Transport::stream);
    const auto connection = guest.connect();
    DnsConversation conversation(box.executor(), *connection, {}, nullptr, 20ms);
    co_await conversation.run();
    CHECK(guest.finished);
  });
}

TEST_CASE("a server that is silent costs one second, and then the next one is asked first") {
  Sandbox sandbox;
  sandbox.resolvers = Resolvers(ResolverConfig{{first_server, second_server}, 1h, 1});
  sandbox.server(Protocol::udp, first_server, silent);
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (int i = 0; i < 2; ++i) {
      const DnsBytes answer = co_await answer_to(guest, dns_query("example.org", DnsType::a));
      CHECK(parse_dns_addresses(answer) == Addresses{an_address});
    }
    CHECK(box.world.dialled ==
          std::vector<std::string>{"udp/192.0.2.1:53", "udp/192.0.2.2:53", "udp/192.0.2.2:53"});
  });
}

TEST_CASE("a server that refuses queries stays the first to be asked") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, says(DnsCode::refused));
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (int i = 0; i < 2; ++i) co_await answer_to(guest, dns_query("example.org", DnsType::a));
    CHECK(box.world.dialled == std::vector<std::string>{"udp/192.0.2.1:53", "udp/192.0.2.2:53",
                                                        "udp/192.0.2.1:53", "udp/192.0.2.2:53"});
  });
}

TEST_CASE("a server that cannot be reached is asked last the next time") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (int i = 0; i < 2; ++i) co_await answer_to(guest, dns_query("example.org", DnsType::a));
    CHECK(box.world.dialled ==
          std::vector<std::string>{"udp/192.0.2.1:53", "udp/192.0.2.2:53", "udp/192.0.2.2:53"});
  });
}

TEST_CASE("a server that is silent over TCP is asked over UDP while TCP is waited for") {
  Sandbox sandbox;
  sandbox.resolvers = Resolvers(ResolverConfig{{first_server}, 1h, 1});
  sandbox.server(Protocol::tcp, first_server, silent);
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer =
        co_await answer_to(box.guest(Transport::stream), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
  });
}

TEST_CASE("a link-local server is dialled by its address and interface") {
  Sandbox sandbox;
  const Endpoint link_local{*IpAddress::parse("fe80::1"), 53};
  sandbox.resolvers = Resolvers(ResolverConfig{{ResolverAddress(link_local, "eth0")}, 1h, 1});
  sandbox.server(Protocol::udp, link_local, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("example.org", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{an_address});
    CHECK(box.world.dialled == std::vector<std::string>{"udp/fe80::1%eth0:53"});
  });
}

TEST_CASE("more queries at once than may be under way are all answered") {
  Sandbox sandbox;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    constexpr std::size_t guests = 4, each = DnsConversation::max_outstanding;
    static_assert(guests * each > 2 * Upstream::max_outstanding);
    for (std::size_t i = 0; i < guests; ++i) {
      Guest& guest = box.guest(i % 2 ? Transport::stream : Transport::datagram);
      for (std::uint16_t id = 0; id < each; ++id) guest.ask(dns_query("example.org", DnsType::a, id));
    }
    for (Guest& guest : box.guests)
      for (std::size_t i = 0; i < each; ++i) {
        const DnsBytes answer = co_await guest.next_answer();
        CHECK(code_of(answer) == DnsCode::no_error);
      }
  });
}

TEST_CASE("queries past those that one connection may have open wait until others are answered") {
  Sandbox sandbox;
  sandbox.run([](Sandbox& box) -> Task<> {
    static std::size_t asked;
    asked = 0;
    for (const auto transport : {Transport::datagram, Transport::stream}) {
      Guest guest(box.executor(), transport);
      Timer held(box.executor(), Clock::time_point::max());
      const DnsAnswerer when_released = [&](Bytes query, Transport) -> Task<DnsAnswers> {
        ++asked;
        co_await held.async_wait(use_result);
        co_return DnsAnswers{encode_dns_reply(query, {})};
      };
      const auto connection = guest.connect();
      DnsConversation conversation(box.executor(), *connection, when_released);
      Scope serving(box.executor());
      serving.spawn(conversation.run());
      constexpr std::size_t most = DnsConversation::max_outstanding;
      for (std::uint16_t id = 0; id <= most; ++id) guest.ask(dns_query("example.org", DnsType::a, id));
      asked = 0;
      while (asked < most) co_await asio::post(box.executor(), use_task);
      for (int turn = 0; turn < 10; ++turn) co_await asio::post(box.executor(), use_task);
      CHECK(asked == most);
      held.cancel();
      std::set<std::uint16_t> ids;
      for (std::size_t i = 0; i < most; ++i) ids.insert(id_of(co_await guest.next_answer()));
      while (asked <= most) co_await asio::post(box.executor(), use_task);
      held.cancel();
      ids.insert(id_of(co_await guest.next_answer()));
      CHECK(ids.size() == most + 1);
      co_await serving.cancel_and_join();
    }
  });
}

TEST_CASE("a sandbox that ends leaves no query behind") {
  Sandbox sandbox;
  sandbox.resolvers = Resolvers(ResolverConfig{{first_server}, 1h, 1});
  sandbox.server(Protocol::udp, first_server, silent);
  sandbox.server(Protocol::tcp, first_server, silent);
  sandbox.run([](Sandbox& box) -> Task<> {
    for (const auto transport : {Transport::datagram, Transport::stream})
      box.guest(transport).ask(dns_query("example.org", DnsType::a));
    while (box.world.dialled.size() < 2) co_await asio::post(box.executor(), use_task);
    co_await box.serving.cancel_and_join();
    CHECK(box.serving.size() == 0);
  });
}

TEST_CASE("host.nsrun.internal is the gateway, in either family, and has no other records") {
  Sandbox sandbox;
  const bool under_name_rules = GENERATE(false, true);
  if (under_name_rules) sandbox.names.synthetic = true;
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    const DnsBytes v4 = co_await answer_to(guest, dns_query("Host.NsRun.Internal", DnsType::a));
    CHECK(parse_dns_addresses(v4) == Addresses{IpAddress::v4(10, 0, 2, 2)});
    const DnsBytes v6 = co_await answer_to(guest, dns_query("host.nsrun.internal", DnsType::aaaa));
    CHECK(parse_dns_addresses(v6) == Addresses{*IpAddress::parse("fd00::2")});
    const DnsBytes text =
        co_await answer_to(guest, dns_query("host.nsrun.internal", static_cast<DnsType>(16)));
    CHECK(code_of(text) == DnsCode::no_error);
    CHECK(parse_dns_addresses(text).empty());
    CHECK(box.world.dialled.empty());
  });
}

TEST_CASE("localhost is the guest's own, and nobody is asked") {
  Sandbox sandbox;
  sandbox.run([](Sandbox& box) -> Task<> {
    const DnsBytes answer = co_await answer_to(box.guest(), dns_query("localhost", DnsType::a));
    CHECK(parse_dns_addresses(answer) == Addresses{IpAddress::v4(127, 0, 0, 1)});
    CHECK(box.world.dialled.empty());
  });
}

TEST_CASE("a changed resolv.conf holds from the next query on") {
  Sandbox sandbox;
  static const auto path = std::filesystem::temp_directory_path() / "nsrun-name-server-test-resolv.conf";
  std::ofstream(path) << "nameserver 192.0.2.1\n";
  sandbox.resolvers = Resolvers(path.string());
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.server(Protocol::udp, second_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    co_await answer_to(guest, dns_query("example.org", DnsType::a));
    std::ofstream(path) << "# changed\nnameserver 192.0.2.2\n";
    co_await answer_to(guest, dns_query("example.org", DnsType::a));
    CHECK(box.world.dialled == std::vector<std::string>{"udp/192.0.2.1:53", "udp/192.0.2.2:53"});
  });
  std::filesystem::remove(path);
}

TEST_CASE("under name rules addresses stand for names, and nobody is asked for them") {
  Sandbox sandbox;
  sandbox.names.synthetic = true;
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    const auto v4 = parse_dns_addresses(co_await answer_to(guest, dns_query("A.Example", DnsType::a)));
    const auto v6 = parse_dns_addresses(co_await answer_to(guest, dns_query("a.example", DnsType::aaaa)));
    REQUIRE(v4.size() == 1);
    REQUIRE(v6.size() == 1);
    CHECK(box.synthetic.name_of(v4[0]) == "a.example");
    CHECK(box.synthetic.name_of(v6[0]) == "a.example");
    for (const auto type : {DnsType::https, DnsType::svcb, DnsType::any}) {
      const DnsBytes answer = co_await answer_to(guest, dns_query("a.example", type));
      CHECK(code_of(answer) == DnsCode::no_error);
      CHECK(parse_dns_addresses(answer).empty());
    }
    const DnsBytes odd = co_await answer_to(guest, dns_query("a b.example", DnsType::a));
    CHECK(code_of(odd) == DnsCode::name_error);
    CHECK(box.world.dialled.empty());
  });
}

TEST_CASE("a synthetic address's PTR record is its name, and other PTR queries are forwarded") {
  Sandbox sandbox;
  sandbox.names.synthetic = true;
  sandbox.server(Protocol::udp, first_server, says(DnsCode::no_error));
  REQUIRE(sandbox.synthetic.v4_for("a.example") == IpAddress::v4(198, 18, 1, 0));
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    const DnsBytes known = co_await answer_to(guest, dns_query("0.1.18.198.in-addr.arpa", DnsType::ptr));
    CHECK(as_text(known).find("\1a\7example") != std::string_view::npos);
    const DnsBytes unknown = co_await answer_to(guest, dns_query("1.1.18.198.in-addr.arpa", DnsType::ptr));
    CHECK(code_of(unknown) == DnsCode::name_error);
    CHECK(box.world.dialled.empty());
    co_await answer_to(guest, dns_query("1.2.0.192.in-addr.arpa", DnsType::ptr));
    CHECK(box.world.dialled.size() == 1);
  });
}

TEST_CASE("under name rules mail and text records come from the world") {
  Sandbox sandbox;
  sandbox.names.synthetic = true;
  sandbox.server(Protocol::udp, first_server, says(DnsCode::no_error));
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    for (const int type : {15, 16, 33})
      co_await answer_to(guest, dns_query("a.example", static_cast<DnsType>(type)));
    CHECK(box.world.dialled.size() == 3);
  });
}

TEST_CASE("the names of forwarded answers' addresses are remembered for the log") {
  Sandbox sandbox;
  sandbox.options.recent = &sandbox.recent;
  sandbox.server(Protocol::udp, first_server, answers);
  sandbox.run([](Sandbox& box) -> Task<> {
    co_await answer_to(box.guest(), dns_query("WWW.example.org", DnsType::a));
    CHECK(box.recent.name_of(an_address) == "www.example.org");
  });
}

TEST_CASE("malformed queries are told so, zone transfers and updates are declined, the rest is dropped") {
  Sandbox sandbox;
  sandbox.run([](Sandbox& box) -> Task<> {
    Guest& guest = box.guest();
    DnsBytes cut = dns_query("example.org", DnsType::a, 11);
    cut.resize(20);
    const DnsBytes malformed = co_await answer_to(guest, cut);
    CHECK(code_of(malformed) == DnsCode::format_error);
    CHECK(id_of(malformed) == 11);

    for (const auto type : {DnsType::axfr, DnsType::ixfr}) {
      const DnsBytes transfer = co_await answer_to(guest, dns_query("example.org", type));
      CHECK(code_of(transfer) == DnsCode::not_implemented);
    }
    DnsBytes update = dns_query("example.org", DnsType::a);
    update[2] = std::byte{5 << 3};
    const DnsBytes updated = co_await answer_to(guest, update);
    CHECK(code_of(updated) == DnsCode::not_implemented);

    guest.ask(DnsBytes{});                                                      // not even a header
    guest.ask(encode_dns_reply(dns_query("example.org", DnsType::a, 12), {}));  // an answer
    const DnsBytes next = co_await answer_to(guest, dns_query("localhost", DnsType::a, 13));
    CHECK(id_of(next) == 13);
    CHECK(box.world.dialled.empty());
  });
}
