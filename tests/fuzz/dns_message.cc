// What a guest can send to the name server, and what a resolver of the host's (or somebody in its place) can
// answer: every parser between a message and its question, name, addresses and reply.

#include <cstdint>
#include <cstdlib>

#include "host/names/dns_message.h"
#include "host/names/reverse_name.h"
#include "host/text/canonical_name.h"

namespace {

void require(bool fact) {
  if (!fact) std::abort();
}

void check_name(const std::string& text) {
  nsrun::parse_reverse_name(text);
  const auto name = nsrun::canonical_name(text);
  if (name) require(*nsrun::canonical_name(*name) == *name);
}

// A reply of ours is a response under the query's id, and repeats the question where there was one.
void check_reply(nsrun::Bytes query, const nsrun::DnsReply& reply) {
  const auto encoded = nsrun::encode_dns_reply(query, reply);
  const auto header = nsrun::parse_dns_header(encoded);
  require(header && header->response && header->id == nsrun::parse_dns_header(query)->id);
  const auto parsed = nsrun::parse_dns_query(query);
  if (!parsed) return;
  require(nsrun::parse_dns_question(encoded) == parsed->question);
  require(nsrun::parse_dns_addresses(encoded) == reply.addresses);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = std::as_bytes(std::span(data, size));
  if (!nsrun::parse_dns_header(message)) return 0;
  nsrun::parse_dns_addresses(message);
  if (const auto question = nsrun::parse_dns_question(message)) check_name(question->name);
  check_reply(message, {.code = nsrun::DnsCode::format_error});
  check_reply(message, {.addresses = {nsrun::IpAddress::v4(198, 18, 1, 0)}, .pointer = "a.example"});
  return 0;
}
