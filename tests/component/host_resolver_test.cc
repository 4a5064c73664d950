// Names of this machine's own, looked up at servers that exist only in the test (tests/support/name_world.h).

#include "host/names/host_resolver.h"

#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/name_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

using ResolvedAddresses = std::vector<IpAddress>;
const IpAddress address6 = *IpAddress::parse("2001:db8::1");

// A folder that goes when the test does.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "nsrun-host-resolver-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return path / name; }
  void write(const char* name, std::string_view text) const { std::ofstream(path / name) << text; }
  std::filesystem::path path;
};

// A machine: its files, its resolver, and the name server it asks.
struct Machine {
  Machine() {
    folder.write("resolv.conf", "nameserver 192.0.2.1\noptions timeout:30 attempts:1\n");
    world.servers[{Protocol::udp, first_server}] = [this](const DnsBytes& query) { return reply(query); };
  }
  Replies reply(const DnsBytes& query) {
    const auto question = *parse_dns_question(query);
    asked.push_back(question.name);
    if (silent.contains({question.name, question.type})) return {};
    const auto found = zone.find(question.name);
    if (found == zone.end()) return {encode_dns_reply(query, {.code = DnsCode::name_error})};
    DnsReply answer;
    for (const IpAddress& address : found->second)
      if (address.is_v4() == (question.type == DnsType::a)) answer.addresses.push_back(address);
    return {encode_dns_reply(query, answer)};
  }
  void never_answers(const std::string& name) {
    silent.insert({name, DnsType::a});
    silent.insert({name, DnsType::aaaa});
  }
  void run(Task<> body) {
    std::exception_ptr failure;
    asio::co_spawn(context, std::move(body), [&](std::exception_ptr thrown) {
      failure = thrown;
      context.stop();
    });
    context.run();
    if (failure) std::rethrow_exception(failure);
  }
  Task<ResolvedAddresses> look_up(std::string name) {
    auto found = co_await resolver.resolve(std::move(name));
    co_return found ? *found : ResolvedAddresses{};
  }
  Task<std::string> error_of(std::string name) {
    auto found = co_await resolver.resolve(std::move(name));
    co_return found ? std::string{} : found.error().message();
  }
  Task<> look_up_beside(std::string name) { co_await look_up(std::move(name)); }

  asio::io_context context{1};
  Executor executor = context.get_executor();
  World world{executor};
  Folder folder;
  std::map<std::string, ResolvedAddresses> zone;
  std::set<std::pair<std::string, DnsType>> silent;
  std::vector<std::string> asked;
  HostResolver resolver{
      executor, world, {folder.file("resolv.conf"), folder.file("hosts"), folder.file("nsswitch.conf")}};
};

using Names = std::vector<std::string>;

Task<> beside_a_slow_name(Machine& machine) {
  Scope slow(machine.executor);
  slow.spawn(machine.look_up_beside("slow.test"));
  while (machine.asked.empty()) co_await asio::post(machine.executor, use_task);
  const auto seen = co_await machine.look_up("quick.test");
  CHECK(seen == ResolvedAddresses{an_address});
  co_await slow.cancel_and_join();
}

Task<> after_slow_names_were_given_up(Machine& machine) {
  Scope slow(machine.executor);
  // Each has two queries: half of them wait for their turn.
  for (std::size_t i = 0; i < Upstream::max_outstanding; ++i) slow.spawn(machine.look_up_beside("slow.test"));
  while (machine.asked.size() < Upstream::max_outstanding) co_await asio::post(machine.executor, use_task);
  co_await slow.cancel_and_join();
  const auto seen = co_await machine.look_up("quick.test");
  CHECK(seen == ResolvedAddresses{an_address});
}

Task<> both_families(Machine& machine) {
  const auto seen = co_await machine.look_up("Both.Test");
  CHECK(seen == ResolvedAddresses{address6, an_address});
  const auto seen2 = co_await machine.look_up("192.0.2.7");
  CHECK(seen2 == ResolvedAddresses{IpAddress::v4(192, 0, 2, 7)});
}

Task<> lagging_family(Machine& machine) {
  const auto seen = co_await machine.look_up("both.test");
  CHECK(seen == ResolvedAddresses{an_address});
}

Task<> hosts_file(Machine& machine) {
  machine.folder.write("hosts", "192.0.2.9 quick.test\n");
  const auto seen = co_await machine.look_up("quick.test");
  CHECK(seen == ResolvedAddresses{IpAddress::v4(192, 0, 2, 9)});
  CHECK(machine.asked.empty());
  machine.folder.write("nsswitch.conf", "hosts: dns files\n");
  const auto seen2 = co_await machine.look_up("quick.test");
  CHECK(seen2 == ResolvedAddresses{an_address});
  machine.folder.write("nsswitch.conf", "hosts: files\n# of this machine alone\n");
  const auto seen3 = co_await machine.look_up("both.test");
  CHECK(seen3 == ResolvedAddresses{});
}

Task<> search_list(Machine& machine, std::string name, Names expected) {
  machine.folder.write("resolv.conf", "nameserver 192.0.2.1\nsearch a.test b.test\n");
  const auto seen = co_await machine.look_up(name);
  CHECK(seen == ResolvedAddresses{});
  Names once;
  for (const auto& asked : machine.asked)
    if (once.empty() || once.back() != asked) once.push_back(asked);
  CHECK(once == expected);
}

Task<> localhost(Machine& machine) {
  const ResolvedAddresses loopback{*IpAddress::parse("::1"), IpAddress::v4(127, 0, 0, 1)};
  const auto seen = co_await machine.look_up("localhost");
  CHECK(seen == loopback);
  const auto seen2 = co_await machine.look_up("a.localhost.");
  CHECK(seen2 == loopback);
  CHECK(machine.asked.empty());
}

Task<> truncation(Machine& machine) {
  const auto seen = co_await machine.look_up("quick.test");
  CHECK(seen == ResolvedAddresses{IpAddress::v4(192, 0, 2, 8)});
}

bool says_that(const std::string& error, std::string_view what) { return error.find(what) != error.npos; }

Task<> errors(Machine& machine) {
  const auto seen = co_await machine.error_of("nobody.test");
  CHECK(says_that(seen, "the name does not exist"));
  const auto seen2 = co_await machine.error_of("127.1");
  CHECK(says_that(seen2, "neither an address nor a host name"));
  const auto seen3 = co_await machine.error_of("a b");
  CHECK(says_that(seen3, "not a valid host name"));
  machine.world.servers[{Protocol::udp, first_server}] = says(DnsCode::server_failure);
  const auto seen4 = co_await machine.error_of("quick.test");
  CHECK(says_that(seen4, "report a failure"));
  machine.world.servers.clear();
  const auto seen5 = co_await machine.error_of("quick.test");
  CHECK(says_that(seen5, "no name server answers"));
}

}  // namespace

TEST_CASE("a name that no server answers for delays no other name") {
  Machine machine;
  machine.never_answers("slow.test");
  machine.zone["quick.test"] = {an_address};
  SECTION("while it is looked up") { machine.run(beside_a_slow_name(machine)); }
  SECTION("once lookups of it were given up") { machine.run(after_slow_names_were_given_up(machine)); }
}

TEST_CASE("a name has the addresses of both families, and an address is its own") {
  Machine machine;
  machine.zone["both.test"] = {an_address, address6};
  machine.run(both_families(machine));
}

TEST_CASE("a family that no server answers for is not waited for when the other has addresses") {
  Machine machine;
  machine.zone["both.test"] = {an_address, address6};
  machine.silent.insert({"both.test", DnsType::aaaa});
  machine.run(lagging_family(machine));
}

TEST_CASE("names of the hosts file come in nsswitch.conf's order, as both files are now") {
  Machine machine;
  machine.zone["quick.test"] = machine.zone["both.test"] = {an_address};
  machine.run(hosts_file(machine));
}

TEST_CASE("a name is searched for in the domains of resolv.conf") {
  Machine machine;
  SECTION("first, when it has few dots") {
    machine.run(search_list(machine, "web", {"web.a.test", "web.b.test", "web"}));
  }
  SECTION("last, when it has enough") {
    machine.run(search_list(machine, "web.x", {"web.x", "web.x.a.test", "web.x.b.test"}));
  }
  SECTION("not when it ends with a dot") { machine.run(search_list(machine, "web.", {"web"})); }
}

TEST_CASE("localhost is the loopback, and nobody is asked") {
  Machine machine;
  machine.run(localhost(machine));
}

TEST_CASE("an answer that does not fit a datagram is asked for over TCP") {
  Machine machine;
  machine.world.servers[{Protocol::udp, first_server}] = [](const DnsBytes& query) {
    Replies all = answers(query);
    all[0][2] |= std::byte{0x02};  // the TC bit, RFC 1035 4.1.1
    return all;
  };
  machine.world.servers[{Protocol::tcp, first_server}] = [](const DnsBytes& query) {
    return Replies{encode_dns_reply(query, {.addresses = {IpAddress::v4(192, 0, 2, 8)}})};
  };
  machine.run(truncation(machine));
}

TEST_CASE("a name without an address is an error that says why") {
  Machine machine;
  machine.run(errors(machine));
}
