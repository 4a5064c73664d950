#include "host/names/dns_message.h"

#include "tests/support/catch.h"
#include "tests/support/dns_queries.h"

using namespace nsrun;
using test::dns_query;
using test::with_edns;

TEST_CASE("a query's question is read in lower case") {
  const auto query = parse_dns_query(dns_query("WWW.Example.ORG", DnsType::aaaa, 7));
  REQUIRE(query.has_value());
  CHECK(query->header.id == 7);
  CHECK_FALSE(query->header.response);
  CHECK(query->question == DnsQuestion{"www.example.org", DnsType::aaaa});
  CHECK_FALSE(query->edns_size);
}

TEST_CASE("a query says how large a datagram it takes") {
  const auto query = parse_dns_query(with_edns(dns_query("example.org", DnsType::a), 1400));
  REQUIRE(query.has_value());
  CHECK(query->edns_size == 1400);
}

TEST_CASE("the root has an empty name") {
  const auto query = parse_dns_query(dns_query("", static_cast<DnsType>(2)));
  REQUIRE(query.has_value());
  CHECK(query->question.name.empty());
}

TEST_CASE("a dot within a label does not read as a label's end") {
  DnsBytes query = dns_query("aXb.example", DnsType::a);
  query[14] = std::byte{'.'};
  const auto parsed = parse_dns_query(query);
  REQUIRE(parsed.has_value());
  CHECK(parsed->question.name == "a\\.b.example");
}

TEST_CASE("what is cut short, asks nothing or asks twice is no query") {
  const DnsBytes query = dns_query("example.org", DnsType::a);
  for (std::size_t size = 0; size < query.size(); ++size)
    CHECK_FALSE(parse_dns_query(Bytes(query).first(size)).has_value());

  DnsBytes nothing(query.begin(), query.begin() + 12);
  nothing[5] = std::byte{0};
  CHECK_FALSE(parse_dns_query(nothing).has_value());

  DnsBytes twice = query;
  twice.insert(twice.end(), query.begin() + 12, query.end());
  twice[5] = std::byte{2};
  CHECK_FALSE(parse_dns_query(twice).has_value());
}

TEST_CASE("a compression pointer to itself is an error and not a loop") {
  DnsBytes query = dns_query("", DnsType::a);
  query[12] = std::byte{0xc0};
  query.insert(query.begin() + 13, std::byte{12});
  CHECK_FALSE(parse_dns_query(query).has_value());
  CHECK_FALSE(parse_dns_question(query));
}

TEST_CASE("a reply carries the question as it was written, and its addresses") {
  const DnsBytes query = dns_query("wWw.ExAmple.org", DnsType::a, 0xabcd);
  const DnsReply reply{.addresses = {IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2)},
                       .ttl = std::chrono::seconds(60)};
  const DnsBytes encoded = encode_dns_reply(query, reply);

  const auto header = parse_dns_header(encoded);
  REQUIRE(header.has_value());
  CHECK(header->id == 0xabcd);
  CHECK(header->response);
  CHECK(header->code == DnsCode::no_error);
  CHECK(parse_dns_question(encoded) == DnsQuestion{"www.example.org", DnsType::a});
  CHECK(parse_dns_addresses(encoded) == reply.addresses);
  CHECK(as_text(encoded).find("ExAmple") != std::string_view::npos);
}

TEST_CASE("a reply to a query with EDNS has EDNS, and only that") {
  const DnsBytes plain = dns_query("example.org", DnsType::a);
  CHECK_FALSE(parse_dns_query(encode_dns_reply(plain, {}))->edns_size);
  CHECK(parse_dns_query(encode_dns_reply(with_edns(plain, 4096), {}))->edns_size);
}

TEST_CASE("IPv6 addresses come back as they were given") {
  const DnsReply reply{.addresses = {*IpAddress::parse("2001:db8::1")}};
  CHECK(parse_dns_addresses(encode_dns_reply(dns_query("example.org", DnsType::aaaa), reply)) ==
        reply.addresses);
}

TEST_CASE("a query that cannot be parsed is answered with a header alone") {
  DnsBytes broken = dns_query("example.org", DnsType::a, 0x0102);
  broken.resize(14);
  const DnsBytes reply = encode_dns_reply(broken, {.code = DnsCode::format_error});
  CHECK(reply.size() == 12);
  const auto header = parse_dns_header(reply);
  CHECK(header->id == 0x0102);
  CHECK(header->response);
  CHECK(header->code == DnsCode::format_error);
  CHECK_FALSE(parse_dns_question(reply));
}

TEST_CASE("the id of a message can be changed") {
  DnsBytes query = dns_query("example.org", DnsType::a, 1);
  set_dns_id(query, 0xfffe);
  CHECK(parse_dns_header(query)->id == 0xfffe);
}
