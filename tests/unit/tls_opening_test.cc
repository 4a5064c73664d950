#include "host/carry/tls_opening.h"

#include "tests/support/catch.h"
#include "tests/support/client_hellos.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

std::string taken_by_opening(TlsOpening& opening) {
  const auto bytes = opening.take();
  return std::string(as_text(bytes));
}

bool refuses(TlsOpening& opening, const std::string& bytes) {
  return opening.from_guest(as_bytes(bytes)).has_error();
}

const TlsExpectation good{.name = "good.example"};

}  // namespace

TEST_CASE("what is not TLS agrees with its first bytes") {
  TlsOpening opening(good);
  REQUIRE(opening.from_guest(as_bytes("GET /")).has_value());
  CHECK(opening.agreed());
  CHECK(taken_by_opening(opening) == "GET /");
}

TEST_CASE("where a rule says tls, what is not TLS does not agree, and silence does") {
  TlsOpening opening({.only_tls = true, .name = "good.example"});
  SECTION("words") { CHECK(refuses(opening, "GET /")); }
  SECTION("silence") {
    REQUIRE(opening.guest_ended().has_value());
    CHECK(opening.agreed());
  }
}

TEST_CASE("a hello for the flow's name goes on whole, and what follows it once the server has answered") {
  TlsOpening opening(good);
  const std::string hello = client_hello({GENERATE(as<std::string>{}, "good.example", "GOOD.Example")});
  for (std::size_t at = 0; at + 1 < hello.size(); ++at) {
    REQUIRE(opening.from_guest(as_bytes(hello.substr(at, 1))).has_value());
    REQUIRE(taken_by_opening(opening).empty());
  }
  REQUIRE(opening.from_guest(as_bytes(hello.substr(hello.size() - 1) + "early")).has_value());
  CHECK(taken_by_opening(opening) == hello);
  CHECK_FALSE(opening.agreed());
  REQUIRE(opening.from_far(as_bytes(server_hello().substr(0, 20))).has_value());
  CHECK(opening.agreed());
  CHECK(taken_by_opening(opening) == "early");
}

TEST_CASE("another name, none, ECH and malformed hellos do not agree") {
  const auto refused = [](const std::string& hello) {
    TlsOpening opening(good);
    const auto judged = opening.from_guest(as_bytes(hello));
    return judged ? std::string() : judged.error().message();
  };
  CHECK_THAT(refused(client_hello({"evil.example"})), Catch::Contains("names evil.example"));
  CHECK_THAT(refused(client_hello({"good.example.evil.example"})), Catch::Contains("evil.example"));
  CHECK_THAT(refused(client_hello({})), Catch::Contains("names no server"));
  CHECK_THAT(refused(client_hello({.server_name = "good.example", .encrypted = true})),
             Catch::Contains("ECH"));
  CHECK_THAT(refused(client_hello({.server_name = "good.example", .padding = 17'000})),
             Catch::Contains("too long"));
  CHECK_FALSE(refused(std::string("\x15\3\1\0\2\1\0", 7)).empty());
  CHECK_FALSE(refused(std::string("\x80\x2e\1\3\1", 5)).empty());
}

TEST_CASE("a hello that only some servers take for one does not agree, whatever it names") {
  for (const char* name : {"good.example", "evil.example"}) {
    const std::string hello = client_hello({name});
    std::string other_version = hello, behind_warning = std::string("\x15\0\1\0\2\1\x5a", 7) + hello;
    other_version[1] = 0x20;
    for (const auto& text : {other_version, behind_warning, std::string("\x16\0\1\0\0", 5) + hello})
      for (std::size_t cut = 1; cut < 8; ++cut) {
        TlsOpening opening({.name = "good.example"});
        auto told = opening.from_guest(as_bytes(std::string_view(text).substr(0, cut)));
        if (told) told = opening.from_guest(as_bytes(std::string_view(text).substr(cut)));
        CHECK(told.has_error());
        CHECK(opening.take().empty());
      }
  }
}

TEST_CASE("a second hello that the server asked for is held to the same name") {
  TlsOpening opening(good);
  const std::string hello = client_hello({"good.example"}), change("\x14\3\3\0\1\1", 6);
  REQUIRE(opening.from_guest(as_bytes(hello)).has_value());
  REQUIRE(taken_by_opening(opening) == hello);
  SECTION("and agrees") {
    REQUIRE(opening.from_far(as_bytes(hello_retry_request())).has_value());
    REQUIRE(opening.from_guest(as_bytes(change + hello + "more")).has_value());
    CHECK(opening.agreed());
    CHECK(taken_by_opening(opening) == change + hello + "more");
  }
  SECTION("or does not") {
    REQUIRE(opening.from_far(as_bytes(hello_retry_request())).has_value());
    CHECK(refuses(opening, change + client_hello({"evil.example"})));
  }
  SECTION("also where it was sent before the server asked") {
    REQUIRE(opening.from_guest(as_bytes(client_hello({"evil.example"}))).has_value());
    REQUIRE(opening.guest_ended().has_value());
    CHECK(taken_by_opening(opening).empty());
    CHECK(opening.from_far(as_bytes(hello_retry_request())).has_error());
  }
}

TEST_CASE("no more is held than a hello may have, until the server answers") {
  TlsOpening opening(good);
  REQUIRE(opening.from_guest(as_bytes(client_hello({"good.example"}))).has_value());
  taken_by_opening(opening);
  CHECK(opening.has_room());
  REQUIRE(opening.from_guest(as_bytes(std::string(max_hello, 'x'))).has_value());
  CHECK_FALSE(opening.has_room());
  REQUIRE(opening.far_ended().has_value());
  CHECK(opening.agreed());
  CHECK(taken_by_opening(opening).size() == max_hello);
}

TEST_CASE("a hello that is cut off by the guest's end goes on as it is") {
  TlsOpening opening(good);
  REQUIRE(opening.from_guest(as_bytes(client_hello({"evil.example"}).substr(0, 30))).has_value());
  REQUIRE(opening.guest_ended().has_value());
  CHECK(opening.agreed());
}

TEST_CASE("to an address any server name may be said that no rule refuses") {
  const auto agrees = [](const HelloOptions& options) {
    TlsOpening opening({.permits = [](const std::string& name) { return name != "evil.example"; }});
    return opening.from_guest(as_bytes(client_hello(options))).has_value();
  };
  CHECK(agrees({"other.example"}));
  CHECK(agrees({}));
  CHECK_FALSE(agrees({"EVIL.example"}));
}
