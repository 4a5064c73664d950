#include <map>
#include "tests/support/catch.h"

#include "host/outside/dial_url.h"
#include "host/services/tunnel/tunnel_client.h"
#include "host/tunnel/environment_proxy.h"

using namespace nsrun;

namespace {

std::string proxy(bool tls, const std::string& host, const std::map<std::string, std::string>& variables) {
  return proxy_of_environment(tls, host, [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("a tunnel's URL names its server, the Host field and the path") {
  const auto plain = TunnelAddress::parse("ws://tunnel.example.com:3001/some/path?a=b");
  REQUIRE(plain.has_value());
  CHECK((!plain->tls && plain->server.to_string() == "tcp/tunnel.example.com:3001"));
  CHECK((plain->host == "tunnel.example.com:3001" && plain->path == "/some/path?a=b"));
  const auto secured = TunnelAddress::parse("wss://s3cret@[2001:db8::1]");
  REQUIRE(secured.has_value());
  CHECK((secured->tls && secured->server.to_string() == "tcp/[2001:db8::1]:443"));
  CHECK((secured->host == "[2001:db8::1]" && secured->path == "/" && secured->token == "s3cret"));
  CHECK(secured->text == "wss://[2001:db8::1]/");
  const auto here = TunnelAddress::parse("ws://:3001/");
  REQUIRE(here.has_value());
  CHECK((here->server.to_string() == "tcp/localhost:3001" && here->host == "localhost:3001"));
}

TEST_CASE("what is no tunnel's URL is an error that keeps the token to itself") {
  for (const char* text : {"", "http://host/", "ws://", "ws:///path", "ws://host:0/", "ws://host:65536/",
                           "ws://0.0.0.0/", "wss://[::]:443/", "ws://host/#part", "wss://token@host:x/"}) {
    const auto wrong = TunnelAddress::parse(text);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().exit == ExitCode::usage);
    CHECK(wrong.error().message().find("token") == std::string::npos);
  }
}

TEST_CASE("a tunnel is a dialer that takes names; what is wrong with its URL is said without the token") {
  asio::io_context context;
  for (const char* url :
       {"tunnel+ws://exit.example.com", "tunnel+wss://s3cret@exit.example.com:8443/path?verify=no",
        "tunnel+ws://exit.example.com/?own=option"}) {
    CHECK(dialer_from_url(url, context.get_executor()).has_value());
    CHECK(resolves_names(url));
  }
  for (const char* url :
       {"tunnel+ws://", "tunnel+wss://s3cret@exit.example.com:x/", "tunnel+http://exit.example.com/",
        "tunnel+wss://s3cret@exit.example.com/?cert=/nowhere/cert.pem",
        "tunnel+ws://exit.example.com/?token-file=/nowhere/token"}) {
    const auto wrong = dialer_from_url(url, context.get_executor());
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().message().find("s3cret") == std::string::npos);
  }
}

TEST_CASE("a forward is a port and an address, or any endpoint") {
  const auto plain = TunnelForward::parse("9000=localhost:3000");
  REQUIRE(plain.has_value());
  CHECK((plain->port == 9000 && plain->text == "localhost:3000"));
  CHECK(plain->to.to_string() == "tcp://localhost:3000");
  CHECK(TunnelForward::parse("8085=tls://www.example.com:443")->to.kind == EndpointUrl::Kind::tls);
  CHECK(TunnelForward::parse("0=unix:///run/app.sock")->port == 0);
  CHECK(TunnelForward::parse("5353=udp://127.0.0.1:53")->to.protocol() == Protocol::udp);
  // As Go dials them: no host is localhost, and a service's name is its port.
  CHECK(TunnelForward::parse("9000=:3000")->to.target().to_string() == "tcp/localhost:3000");
  CHECK(TunnelForward::parse("9000=:3000")->text == ":3000");
  CHECK(TunnelForward::parse("9000=tls://:443")->to.target().to_string() == "tcp/localhost:443");
  CHECK(TunnelForward::parse("9000=localhost:http-alt")->to.port == 8080);
  CHECK(TunnelForward::parse("9000=[::1]:https")->to.port == 443);
  CHECK(TunnelForward::parse("9000=tls://localhost:https")->to.port == 443);
  CHECK(TunnelForward::parse("9000=localhost:no-such-service").has_error());
  for (const char* text : {"9000", "=localhost:80", "65536=localhost:80", "x=localhost:80", "9000=localhost",
                           "9000=", "9000=guest+tcp://10.0.2.100:80"})
    CHECK(TunnelForward::parse(text).has_error());
}

TEST_CASE("the environment's proxy is taken for its scheme, unless the host is excepted") {
  const std::map<std::string, std::string> both = {{"HTTPS_PROXY", "http://secure.example:3128"},
                                                   {"http_proxy", "plain.example:8080"}};
  CHECK(proxy(true, "tunnel.example.com", both) == "http://secure.example:3128");
  CHECK(proxy(false, "tunnel.example.com", both) == "http://plain.example:8080");
  CHECK(proxy(false, "tunnel.example.com", {{"HTTPS_PROXY", "x"}}).empty());
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) CHECK(proxy(true, host, both).empty());
}

TEST_CASE("NO_PROXY has names with what is below them, addresses, networks, and all") {
  const auto excepts = [](const std::string& list, const std::string& host) {
    return proxy(true, host, {{"https_proxy", "http://p:1"}, {"NO_PROXY", list}}).empty();
  };
  CHECK(excepts("*", "a.example"));
  CHECK(excepts("b.example, a.example", "a.example"));
  CHECK(excepts(".a.example", "deep.a.example"));
  CHECK(excepts("*.a.example", "deep.a.example"));
  CHECK(excepts("a.example", "deep.a.example"));
  CHECK(excepts("192.0.2.0/24", "192.0.2.7"));
  CHECK(excepts("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(excepts("a.example", "other-a.example"));
  CHECK_FALSE(excepts("a.example,", "b.example"));
  CHECK_FALSE(excepts("192.0.2.0/24", "198.51.100.7"));
  CHECK_FALSE(excepts("", "a.example"));
}
