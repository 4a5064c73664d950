#include "tests/support/catch.h"

#include "host/endpoints/endpoint_url.h"
#include "host/forward/forward.h"

using namespace nsrun;

namespace {

using Kind = EndpointUrl::Kind;

EndpointUrl parsed_endpoint(std::string_view text) { return EndpointUrl::parse(text).value(); }

std::string endpoint_error(std::string_view text) {
  const auto url = EndpointUrl::parse(text);
  if (!url) CHECK(url.error().exit == ExitCode::usage);
  return url ? "it is fine" : url.error().message();
}

std::string forward_error(std::string_view text) {
  const auto forward = Forward::parse(text);
  if (!forward) CHECK(forward.error().exit == ExitCode::usage);
  return forward ? "it is fine" : forward.error().message();
}

}  // namespace

TEST_CASE("an endpoint of each kind is what its URL says") {
  CHECK(parsed_endpoint("tcp://Example.ORG:80").host == "example.org");
  CHECK(parsed_endpoint("tcp://[2001:DB8::1]:80").to_string() == "tcp://[2001:db8::1]:80");
  CHECK(parsed_endpoint("udp://192.0.2.1:53").kind == Kind::udp);
  CHECK(parsed_endpoint("tls://a.example:443?alpn=h2,http%2F1.1").options.at("alpn") == "h2,http/1.1");
  CHECK(parsed_endpoint("unix:///run/a%20b.sock?mode=0660").path == "/run/a b.sock");
  CHECK(parsed_endpoint("unix+dgram:///run/log").kind == Kind::unix_datagram);
  CHECK(parsed_endpoint("vsock://3:1024").cid == 3);
  CHECK(parsed_endpoint("vsock://any:4294967295").cid == EndpointUrl::any_cid);
  CHECK(parsed_endpoint("vsock://host:1").cid == 2);
  CHECK(parsed_endpoint("vsock://local:1").cid == 1);
  const auto hybrid = parsed_endpoint("hvsock:///run/vm:1/v.sock:5000");
  CHECK(hybrid.path == "/run/vm:1/v.sock");
  CHECK(hybrid.port == 5000);
  CHECK(parsed_endpoint("guest+tcp://127.0.0.1:80").is_guest());
  CHECK(parsed_endpoint("guest+udp://localhost:53").target().endpoint ==
        Endpoint{IpAddress::v4(127, 0, 0, 1), 53});
}

TEST_CASE("a listener may leave its host and its port open") {
  for (const char* text : {"tcp://:0", "tcp://*:0", "guest+tcp://:0"}) {
    INFO(text);
    CHECK(parsed_endpoint(text).host.empty());
    CHECK(parsed_endpoint(text).port == 0);
  }
}

TEST_CASE("what an endpoint's text says is said again by its words") {
  for (const char* text :
       {"tcp://example.org:80", "tcp://*:80", "udp://[::1]:53", "unix:///run/s", "unix+dgram:///run/s",
        "vsock://3:5", "vsock://any:5", "hvsock:///run/s:5", "guest+tcp://10.0.2.100:80"})
    CHECK(parsed_endpoint(text).to_string() == text);
}

TEST_CASE("a text that is no endpoint is an error of usage that shows the form") {
  // Of tcp://a:-1 Boost.URL 1.81 makes a URL with a path; for 1.83 it is malformed.
  const std::pair<const char*, const char*> wrong[] = {{"", "not a URL"},
                                                       {"80", "not a URL"},
                                                       {"ftp://a:1", "scheme 'ftp' is unknown"},
                                                       {"TCP://a:1", "scheme 'TCP' is unknown"},
                                                       {"tcp://a", "no port"},
                                                       {"tcp://a:65536", "no port"},
                                                       {"tcp://a:-1", "tcp://HOST:PORT"},
                                                       {"tcp://a_b..c:80", "neither an address nor"},
                                                       {"tcp://a%0ab:80", "control character"},
                                                       {"tcp://user@a:80", "a user"},
                                                       {"tcp://a:80/path", "a path"},
                                                       {"tcp://a:80#x", "malformed"},
                                                       {"tcp://a:80?mode=1", "'mode' is unknown"},
                                                       {"tls://a:80?cert", "without a value"},
                                                       {"tls://a:80?ca=x&ca=y", "twice"},
                                                       {"unix://run/s", "has a host"},
                                                       {"unix:///", "no path"},
                                                       {"unix:///a%00b", "control character"},
                                                       {"vsock://vm:5", "not a valid CID"},
                                                       {"vsock://4294967296:5", "not a valid CID"},
                                                       {"vsock://3", "no port"},
                                                       {"vsock://3:4294967296", "no port"},
                                                       {"hvsock:///run/s", "no port after its path"},
                                                       {"guest+tcp://example.org:80", "nor localhost"}};
  for (const auto& [text, what] : wrong) {
    INFO(text);
    CHECK_THAT(endpoint_error(text), Catch::Contains(what));
  }
}

TEST_CASE("what is found by a path has one, from the root") {
  for (const char* text :
       {"hvsock://:2:6", "hvsock://:6", "hvsock:///:6", "hvsock://a/b:6", "unix://", "unix:///",
        "unix+dgram://:1", "unix://:1/run/s", "hvsock://:2/run/s:6", "hvsock:///run/s:"}) {
    CAPTURE(text);
    const auto wrong = EndpointUrl::parse(text);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().exit == ExitCode::usage);
  }
}

TEST_CASE("passwords are not repeated in errors") {
  CHECK_THAT(endpoint_error("tcp://anna:secret@host:80"), !Catch::Contains("secret"));
}

TEST_CASE("a forward is two endpoints, whatever their options") {
  const auto forward = Forward::parse("tls://*:1?cert=a&key=b=unix:///run/x=y").value();
  CHECK(forward.listen.options.at("key") == "b");
  CHECK(forward.dial.path == "/run/x=y");
  CHECK(Forward::parse("udp://:53=unix+dgram:///run/dns").value().to_string() ==
        "udp://*:53=unix+dgram:///run/dns");
}

TEST_CASE("what is no forward is an error of usage") {
  CHECK_THAT(forward_error("tcp://:80"), Catch::Contains("no second endpoint"));
  CHECK_THAT(forward_error("tcp://:80=host:80"), Catch::Contains("no second endpoint"));
  CHECK_THAT(forward_error("=tcp://a:80"), Catch::Contains("not a valid endpoint"));
  CHECK_THAT(forward_error("tcp://:80=udp://a:80"), Catch::Contains("datagrams"));
  CHECK_THAT(forward_error("tcp://:x=tcp://a:80"), Catch::Contains("tcp://:x"));
}

TEST_CASE("whoever comes is allowed to the endpoint that the user chose, and nowhere else") {
  const auto forward = Forward::parse("tcp://:80=unix:///run/app.sock").value();
  AllowTo policy(forward.dial, "the forward");
  const FlowKey key{Protocol::tcp, {IpAddress::v4(192, 0, 2, 1), 1234}, {IpAddress::v4(192, 0, 2, 2), 80}};
  const auto verdict = policy.judge(key);
  CHECK(verdict.allowed);
  CHECK(verdict.target.via == "unix:///run/app.sock");
  CHECK(verdict.target.source == key.source);
  CHECK(verdict.rule.str() == "the forward");
}
