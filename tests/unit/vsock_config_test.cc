#include "tests/support/catch.h"

#include "host/services/vsock/vsock_config.h"

using namespace nsrun;

namespace {

std::string vsock_error(std::string_view text) {
  const auto tunnels = parse_vsock_config(text, "c.yaml");
  if (!tunnels) CHECK(tunnels.error().exit == ExitCode::usage);
  return tunnels ? "it is fine" : tunnels.error().message();
}

const std::string good_tunnels = R"(tunnel:
- name: api
  handshake-port: 9090
  vsock-host-port: 8989
  peer-address: 127.0.0.1
  peer-port: 3030
  upstream-server-address: 127.0.0.1:4444
)";

std::string tunnels_with(const std::string& from, const std::string& to) {
  std::string text = good_tunnels;
  return text.replace(text.find(from), from.size(), to);
}

// A second tunnel whose ports differ by one, with a change.
std::string twice(const std::string& from, const std::string& to) {
  std::string second = R"(- {name: web, handshake-port: 9091, vsock-host-port: 8990, peer-address: 127.0.0.1,
   peer-port: 3031, upstream-server-address: "unix:///run/web.sock"}
)";
  if (!from.empty()) second.replace(second.find(from), from.size(), to);
  return good_tunnels + second;
}

}  // namespace

TEST_CASE("a configuration says what each tunnel is") {
  const auto tunnels = parse_vsock_config(twice("", ""), "c.yaml").value();
  REQUIRE(tunnels.size() == 2);
  CHECK(tunnels[0].name == "api");
  CHECK(tunnels[0].handshake_port == 9090);
  CHECK(tunnels[0].host_port == 8989);
  CHECK(tunnels[0].peer.to_string() == "127.0.0.1:3030");
  CHECK(tunnels[0].upstream.to_string() == "tcp://127.0.0.1:4444");
  CHECK(tunnels[1].upstream.to_string() == "unix:///run/web.sock");
}

TEST_CASE("a pipe of Windows is a unix socket here") {
  const auto tunnels =
      parse_vsock_config(tunnels_with("127.0.0.1:4444", "npipe:///run/docker.sock"), "c.yaml");
  CHECK(tunnels.value()[0].upstream.to_string() == "unix:///run/docker.sock");
}

TEST_CASE("what is wrong in a configuration is said with its line and key") {
  struct Wrong {
    std::string text;
    const char *place, *what;
  };
  const Wrong wrong[] = {
      {"", "c.yaml:1:1: ", "empty"},
      {"[]", "c.yaml:1:1: ", "not a mapping"},
      {"tunel: []", "c.yaml:1:1: ", "tunel: there is no such key"},
      {"tunnel: []", "c.yaml:1:1: ", "list is empty"},
      {"tunnel: api", "c.yaml:1:1: ", "not a list"},
      {"tunnel: [api]", "c.yaml:1:10: ", "not a valid tunnel"},
      {"{}", "c.yaml:1:1: ", "no tunnel"},
      {tunnels_with("  peer-port: 3030\n", ""), "c.yaml:2:3: ", "no peer-port"},
      {tunnels_with("peer-port", "peer_port"), "c.yaml:6:3: ", "peer_port: there is no such key"},
      {tunnels_with("name: api", "name: api\n  name: b"), "c.yaml:3:3: ", "name: is said twice"},
      {tunnels_with("name: api", "name:"), "c.yaml:2:", "name: a value is missing"},
      {tunnels_with("9090", "[1]"), "c.yaml:3:19: ", "handshake-port: a value is missing"},
      {tunnels_with("9090", "ninety"), "c.yaml:3:19: ", "handshake-port: 'ninety' is not a valid vsock port"},
      {tunnels_with("9090", "0"), "c.yaml:3:19: ", "handshake-port: '0'"},
      {tunnels_with("8989", "4294967295"), "c.yaml:4:20: ", "vsock-host-port: '4294967295'"},
      {tunnels_with("address: 127.0.0.1", "address: localhost"),
       "c.yaml:5:17: ", "peer-address: 'localhost' is not a valid IP address"},
      {tunnels_with("3030", "70000"), "c.yaml:6:14: ", "peer-port: '70000' is not a valid port"},
      {tunnels_with("127.0.0.1:4444", "4444"), "c.yaml:7:28: ", "upstream-server-address: '4444'"},
      {tunnels_with("127.0.0.1:4444", "127.0.0.1:0"), "c.yaml:7:28: ", "upstream-server-address"},
      {tunnels_with("127.0.0.1:4444", "unix://run/x"), "c.yaml:7:28: ", "upstream-server-address"},
      {tunnels_with("127.0.0.1:4444", "udp://127.0.0.1:1"), "c.yaml:7:28: ", "upstream-server-address"},
      {twice("web", "api"), "c.yaml:8:10: ", "name: 'api' is that of 'api'"},
      {twice("9091", "9090"), "c.yaml:8:31: ", "handshake-port: '9090' is that of 'api'"},
      {twice("8990", "08989"), "c.yaml:8:54: ", "vsock-host-port: '08989' is that of 'api'"},
      {twice("3031", "3030"), "c.yaml:9:15: ", "peer-port: '3030' is that of 'api'"},
      {good_tunnels + "tunnel: []\n", "c.yaml:8:1: ", "tunnel: is said twice"},
      {"tunnel: *x", "c.yaml:1:9: ", "aliases"},
      {"tunnel: [{", "c.yaml:", "this is not YAML"},
  };
  for (const auto& [text, place, what] : wrong) {
    INFO(text);
    CHECK_THAT(vsock_error(text), Catch::StartsWith(place) && Catch::Contains(what));
  }
}

TEST_CASE("two tunnels may have one port of the peer on two addresses") {
  CHECK(vsock_error(twice("127.0.0.1,\n   peer-port: 3031", "127.0.0.2,\n   peer-port: 3030")) ==
        "it is fine");
  CHECK_THAT(vsock_error(twice("127.0.0.1,\n   peer-port: 3031", "0.0.0.0,\n   peer-port: 3030")),
             Catch::Contains("peer-port"));
}
