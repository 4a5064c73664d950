#include "host/names/resolvers.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

std::vector<std::string> servers(std::string_view text) {
  std::vector<std::string> all;
  for (const Endpoint& server : parse_resolv_conf(text).servers) all.push_back(server.to_string());
  return all;
}
using Servers = std::vector<std::string>;

// A directory that goes when the test does.
struct Directory {
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "nsrun-resolvers-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

void write(const std::filesystem::path& path, std::string_view text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("name servers are taken in order, of both families") {
  CHECK(servers("# written by hand\n"
                "search example.org\n"
                "nameserver 192.0.2.1\n"
                "nameserver\t2001:db8::1   # the second\n") == Servers{"192.0.2.1:53", "[2001:db8::1]:53"});
}

TEST_CASE("without a name server it is the one on this machine") {
  CHECK(servers("") == Servers{"127.0.0.1:53"});
  CHECK(servers("options timeout:1\n") == Servers{"127.0.0.1:53"});
}

TEST_CASE("a link-local name server keeps its interface") {
  const auto config = parse_resolv_conf("nameserver fe80::1%eth0\nnameserver fe80::2%3\n");
  REQUIRE(config.servers.size() == 2);
  CHECK(config.servers[0].to_string() == "[fe80::1]:53");
  CHECK(config.servers[0].zone == "eth0");
  CHECK(config.servers[1].zone == "3");
}

TEST_CASE("servers that cannot be dialled, and lines that are none, are passed over") {
  CHECK(servers("nameserver fe80::1\n"
                "nameserver fe80::1%\n"
                "nameserver fe80::1%an-interface-name-too-long\n"
                "nameserver 2001:db8::1%eth0\n"
                "nameserver 192.0.2.2%eth0\n"
                "nameserver\n"
                "nameserver resolver.example\n"
                "nameserverx 192.0.2.8\n"
                " nameserver 192.0.2.9\n"
                ";nameserver 192.0.2.7\n"
                "nameserver 192.0.2.1") == Servers{"192.0.2.1:53"});
}

TEST_CASE("at most three name servers are asked") {
  CHECK(servers("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n")
            .size() == 3);
}

TEST_CASE("timeout and attempts have resolv.conf's defaults and caps") {
  const auto defaults = parse_resolv_conf("");
  CHECK(defaults.timeout == 5s);
  CHECK(defaults.attempts == 2);

  const auto given = parse_resolv_conf("options rotate timeout:3 edns0 attempts:4\n");
  CHECK(given.timeout == 3s);
  CHECK(given.attempts == 4);

  const auto capped = parse_resolv_conf("options timeout:99999999999 attempts:6\n");
  CHECK(capped.timeout == 30s);
  CHECK(capped.attempts == 5);

  const auto least = parse_resolv_conf("options timeout:0\noptions attempts:0\n");
  CHECK(least.timeout == 1s);
  CHECK(least.attempts == 1);

  const auto nonsense = parse_resolv_conf("options timeout: attempts:many timeout:3x\n");
  CHECK(nonsense.timeout == 5s);
  CHECK(nonsense.attempts == 2);
}

TEST_CASE("a change of resolv.conf is followed, however it is made") {
  const Directory directory;
  const auto path = directory.path / "resolv.conf";
  write(path, "nameserver 192.0.2.1\n");
  Resolvers resolvers(path.string());
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.1:53");

  write(path, "nameserver 192.0.2.100\n");  // in place
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.100:53");

  write(directory.path / "new", "nameserver 192.0.2.200\n");  // by rename, the size unchanged
  std::filesystem::rename(directory.path / "new", path);
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.200:53");

  write(directory.path / "elsewhere", "nameserver 192.0.2.250\n");  // by a symbolic link's new target
  std::filesystem::remove(path);
  std::filesystem::create_symlink("elsewhere", path);
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.250:53");
}

TEST_CASE("a resolv.conf that is gone leaves the servers known so far") {
  const Directory directory;
  const auto path = directory.path / "resolv.conf";
  Resolvers resolvers(path.string());
  CHECK(resolvers.current().servers[0].to_string() == "127.0.0.1:53");
  write(path, "nameserver 192.0.2.1\n");
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.1:53");
  std::filesystem::remove(path);
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.1:53");
  std::filesystem::create_directory(path);
  CHECK(resolvers.current().servers[0].to_string() == "192.0.2.1:53");
}

TEST_CASE("fixed resolvers are what they were given") {
  Resolvers resolvers(ResolverConfig{{*Endpoint::parse("192.0.2.1:5353")}, 50ms, 1});
  CHECK(resolvers.current().servers[0].port == 5353);
  CHECK(resolvers.current().timeout == 50ms);
}
