#include "host/carry/client_hello.h"

#include "tests/support/catch.h"
#include "tests/support/client_hellos.h"

using namespace nsrun;
using namespace nsrun::test;

TEST_CASE("TLS is told from what else a stream may begin with") {
  const auto tls = [](std::string_view text) { return starts_tls(as_bytes(text)); };
  const std::string hello = client_hello({"a.example"});
  CHECK(tls(hello) == true);
  CHECK(tls(in_records(hello, 1)) == true);
  CHECK(tls("") == std::nullopt);
  CHECK(tls("\x16") == std::nullopt);
  CHECK(tls("GET / HTTP/1.1\r\n") == false);
  CHECK(tls("SSH-2.0-x\r\n") == false);
  // A warning before the hello, which servers pass over.
  CHECK(tls(std::string_view("\x15\3\1\0\2\1\0", 7)) == true);
  // A hello in SSLv2's form.
  CHECK(tls("\x80") == std::nullopt);
  CHECK(tls(std::string_view("\x80\x2e\1\3\1", 5)) == true);
  CHECK(tls(std::string_view("\x80\x2e\2\3\1", 5)) == false);
}

TEST_CASE("what some server takes for the beginning of TLS is TLS, whatever version its records have") {
  const auto tls = [](std::string_view text) { return starts_tls(as_bytes(text)); };
  const auto record = [](char type, unsigned version, std::string_view content) {
    return std::string{type, static_cast<char>(version >> 8), static_cast<char>(version), '\0',
                       static_cast<char>(content.size())} +
           std::string(content);
  };
  const std::string hello(4, '\1'), warning = "\1\x5a", done = {'\1', '\0'};
  for (const unsigned version : {0U, 1U, 0x100U, 0x200U, 0x301U, 0x3ffU, 0x401U, 0xfffU,  // Go's, GnuTLS's
                                 0xfeffU, 0xfefdU,                                        // rustls's
                                 0x1000U, 0x2003U, 0x7f00U, 0x8001U, 0xffffU}) {          // Java's, wolfSSL's
    CAPTURE(version);
    const bool is_usual = version >> 8 == 3;
    for (const auto& beginning :
         {record(22, version, hello), record(21, version, warning), record(21, version, "\2\x28"),
          record(21, version, warning + warning), record(20, version, "\1"),
          record(22, version, {}) + record(22, version, hello),
          record(22, version, {}) + record(22, 1, {}) + record(21, version, warning),
          record(22, version, {}) + record(22, version, {}) + record(22, version, {})}) {
      CHECK(tls(beginning) == true);
      CHECK(tls(beginning.substr(0, 1)) == std::nullopt);
      CHECK(tls(beginning.substr(0, 4)) == (is_usual ? std::optional(true) : std::nullopt));
    }
    for (const auto& beginning :
         {record(23, version, hello), record(22, version, "\2"), record(21, version, done),
          record(21, version, "name"), record(20, version, "\2"), record(22, version, {}) + "text"})
      CHECK(tls(beginning) == is_usual);
  }
  // Types that nobody knows.
  CHECK(tls(record(24, 0x303, hello)) == true);
  CHECK(tls(record(31, 0x301, hello)) == true);
  CHECK(tls(record(24, 0x1003, hello)) == false);
}

TEST_CASE("other protocols that begin with a length are not taken for TLS") {
  const auto tls = [](std::string_view text) { return starts_tls(as_bytes(text)); };
  // A MySQL login of 278 bytes, a MongoDB message of 278 and of 277 bytes, a message of 788 bytes.
  CHECK(tls(std::string_view("\x16\1\0\1\x85\xa6", 6)) == false);
  CHECK(tls(std::string_view("\x16\1\0\0\0\0\0\0\0\0", 10)) == false);
  CHECK(tls(std::string_view("\x15\1\0\0\7\0\0\0\0\0", 10)) == false);
  CHECK(tls(std::string_view("\x18\3\0\0\7\0\0\0\0\0", 10)) == false);
  // Minecraft's handshakes with names of 13 to 15 letters.
  CHECK(tls(std::string_view("\x14\0\xf2\5\x0dmc.exam", 12)) == false);
  CHECK(tls(std::string_view("\x15\0\xf2\5\x0emc.exam", 12)) == false);
  CHECK(tls(std::string_view("\x16\0\xf2\5\x0fmc.exam", 12)) == false);
  // Text is known at its first byte: its client may wait for an answer.
  for (const char* text : {" ", "1", "?", "*", "a", "\n"}) CHECK(tls(text) == false);
}

TEST_CASE("a ClientHello is whole in one record, in many, and not before its last byte") {
  const std::string hello = client_hello({"a.example"});
  const std::size_t size = GENERATE(1, 2, 3, 100, 16'384);
  const std::string records = in_records(hello, size);
  CHECK(hello_size(as_bytes(records)).value() == records.size());
  for (std::size_t cut = 0; cut < records.size(); ++cut)
    REQUIRE(hello_size(as_bytes(std::string_view(records).substr(0, cut))).value() == 0);
  CHECK(hello_size(as_bytes(records + "more")).value() == records.size());
  CHECK(parse_client_hello(as_bytes(records)).value().server_name == "a.example");
}

TEST_CASE("the server name and ECH are seen, and seen to be missing") {
  const auto read = [](const HelloOptions& options) {
    return parse_client_hello(as_bytes(client_hello(options))).value();
  };
  CHECK(read({"Some.Example"}).server_name == "Some.Example");
  CHECK(read({}).server_name.empty());
  CHECK_FALSE(read({"a.example"}).encrypted);
  CHECK(read({.server_name = "a.example", .encrypted = true}).encrypted);
  CHECK(read({.server_name = "a.example", .padding = 9'000}).server_name == "a.example");
}

TEST_CASE("what is no ClientHello, too long, or goes on in its record is an error") {
  const std::string hello = client_hello({"a.example"});
  const auto fails = [](const std::string& bytes) { return hello_size(as_bytes(bytes)).has_error(); };
  CHECK(fails(client_hello({.server_name = "a.example", .padding = 17'000})));
  CHECK(fails(std::string("\x15\3\1\0\2\1\0", 7) + hello));
  CHECK(fails(std::string("\x16\3\1\0\0", 5)));
  CHECK(fails(std::string("\x16\3\1\0\4\2\0\0\0", 9)));  // a ServerHello
  std::string longer = hello + "x";
  longer[4] = static_cast<char>(longer[4] + 1);
  CHECK(fails(longer));

  std::string bent = hello;
  bent[43] = '\xff';  // the session id's length
  CHECK(parse_client_hello(as_bytes(bent)).has_error());
}

TEST_CASE("a server name that is not one host name in one list is an error") {
  std::string hello = client_hello({"a.example"});
  const auto at = hello.find("a.example");
  REQUIRE(at != hello.npos);
  SECTION("of another kind") { hello[at - 3] = '\1'; }
  SECTION("shorter than its list") { hello[at - 1] = '\3'; }
  SECTION("longer than its list") { hello[at - 1] = '\x20'; }
  CHECK(parse_client_hello(as_bytes(hello)).has_error());
}

TEST_CASE("a request for another hello is told from an answer by its random") {
  const auto again = [](const std::string& bytes) { return asks_for_hello_again(as_bytes(bytes)); };
  CHECK(again(hello_retry_request()) == true);
  CHECK(again(hello_retry_request().substr(0, 42)) == std::nullopt);
  CHECK(again(server_hello()) == false);
  CHECK(again("220 ready\r\n") == false);
  CHECK(again("") == std::nullopt);
}

TEST_CASE("records that a server passes over are counted, whole ones only") {
  const std::string change("\x14\3\3\0\1\1", 6), early("\x17\3\3\0\2ab", 7);
  const auto before = [](const std::string& bytes) { return bytes_before_second_hello(as_bytes(bytes)); };
  CHECK(before(change + early + client_hello({"a.example"})) == 13);
  CHECK(before(change + early.substr(0, 6)) == 6);
  CHECK(before("") == 0);
}
