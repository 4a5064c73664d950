#include "tests/support/catch.h"

#include "host/dialers/socks5.h"

namespace nsrun::socks5 {
namespace {

using namespace std::string_literals;

int code_of(const Error& error) { return error.code.value(); }

TEST_CASE("a SOCKS5 greeting offers the password only when there is one") {
  CHECK(greeting(false) == "\x05\x01\x00"s);
  CHECK(greeting(true) == "\x05\x02\x00\x02"s);
}

TEST_CASE("a SOCKS5 proxy's choice of login is understood") {
  CHECK(parse_method(as_bytes("\x05\x00"s)).value() == Method::none);
  CHECK(parse_method(as_bytes("\x05\x02"s)).value() == Method::password);
  CHECK(code_of(parse_method(as_bytes("\x05\xff"s)).error()) == EACCES);
  CHECK(code_of(parse_method(as_bytes("\x05\x01"s)).error()) == EPROTO);
  CHECK(code_of(parse_method(as_bytes("\x04\x00"s)).error()) == EPROTO);
  CHECK(code_of(parse_method(as_bytes("\x05"s)).error()) == EPROTO);
}

TEST_CASE("a SOCKS5 login is written as RFC 1929 says") {
  CHECK(password_request({"anna", "pw"}).value() ==
        "\x01\x04"
        "anna\x02"
        "pw"s);
  CHECK(password_request({"anna", ""}).value() ==
        "\x01\x04"
        "anna\x00"s);
  CHECK(!password_request({"", "pw"}));
  CHECK(!password_request({std::string(256, 'a'), "pw"}));
  CHECK(!password_request({"anna", std::string(256, 'a')}));
  CHECK(parse_password_answer(as_bytes("\x01\x00"s)).has_value());
  CHECK(code_of(parse_password_answer(as_bytes("\x01\x01"s)).error()) == EACCES);
}

TEST_CASE("a SOCKS5 request carries addresses of each kind") {
  const auto v4 = *Endpoint::parse("192.0.2.1:80");
  const auto v6 = *Endpoint::parse("[2001:db8::1]:443");
  CHECK(request(Command::connect, {v4, {}}).value() == "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"s);
  CHECK(request(Command::connect, {v6, {}}).value() ==
        "\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01\x01\xbb"s);
  CHECK(request(Command::udp_associate, {{{}, 80}, "example.org"}).value() ==
        "\x05\x03\x00\x03\x0b"
        "example.org\x00\x50"s);
  CHECK(!request(Command::connect, {{{}, 80}, std::string(256, 'a')}));
}

TEST_CASE("a SOCKS5 reply says how long it is in its first bytes") {
  CHECK(reply_length(as_bytes("\x05\x00\x00\x01\x7f"s)).value() == 10);
  CHECK(reply_length(as_bytes("\x05\x00\x00\x04\x00"s)).value() == 22);
  CHECK(reply_length(as_bytes("\x05\x00\x00\x03\x09"s)).value() == 16);
  CHECK(code_of(reply_length(as_bytes("\x05\x00\x00\x02\x09"s)).error()) == EPROTO);
  CHECK(code_of(reply_length(as_bytes("\x05\x00\x00\x01"s)).error()) == EPROTO);
  CHECK(code_of(reply_length(as_bytes("HTTP/"s)).error()) == EPROTO);
}

TEST_CASE("a SOCKS5 refusal says what a direct connect would have said") {
  const int expected[] = {0,
                          ECONNREFUSED,
                          EACCES,
                          ENETUNREACH,
                          EHOSTUNREACH,
                          ECONNREFUSED,
                          EHOSTUNREACH,
                          EPROTONOSUPPORT,
                          ENETUNREACH,
                          ECONNREFUSED};
  for (char reply = 1; reply < 10; ++reply) {
    const std::string start{5, reply, 0, 1, 0};
    CHECK(code_of(reply_length(as_bytes(start)).error()) == expected[static_cast<int>(reply)]);
  }
}

TEST_CASE("a SOCKS5 reply's bound address is read") {
  const auto v4 = parse_reply(as_bytes("\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"s)).value();
  CHECK(v4.endpoint.to_string() == "127.0.0.1:1080");
  const auto named = parse_reply(as_bytes("\x05\x00\x00\x03\x02hi\x00\x01"s)).value();
  CHECK(named.name == "hi");
  CHECK(named.endpoint.port == 1);
  CHECK(!parse_reply(as_bytes("\x05\x00\x00\x01\x7f\x00\x00\x01\x04"s)));
  CHECK(!parse_reply(as_bytes("\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38!"s)));
}

TEST_CASE("a SOCKS5 datagram is its header and its payload") {
  const Address to{*Endpoint::parse("192.0.2.1:53"), {}};
  const auto bytes = datagram_header(to).value() + "query";
  const auto datagram = parse_datagram(as_bytes(bytes)).value();
  CHECK(datagram.from.endpoint == to.endpoint);
  CHECK(as_text(datagram.payload) == "query");
  const auto empty = datagram_header(to).value();
  CHECK(parse_datagram(as_bytes(empty)).value().payload.empty());
}

TEST_CASE("a cut or fragmented SOCKS5 datagram is an error") {
  auto header = datagram_header({{{}, 53}, "example.org"}).value();
  for (std::size_t length = 0; length < header.size(); ++length)
    CHECK(!parse_datagram(as_bytes(header).first(length)));
  CHECK(parse_datagram(as_bytes(header)).has_value());
  header[2] = 1;
  CHECK(!parse_datagram(as_bytes(header)));
}

}  // namespace
}  // namespace nsrun::socks5
