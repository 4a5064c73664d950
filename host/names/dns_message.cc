#include "host/names/dns_message.h"

#include <ldns/ldns.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "runtime/c_deleter.h"

// The one file that knows ldns. Its objects are trees of malloc'd nodes; each is owned here by a unique_ptr
// whose deleter frees the tree, and none leaves this file.

namespace nsrun {
namespace {

using Packet = std::unique_ptr<ldns_pkt, CDeleter<ldns_pkt_free>>;
using Record = std::unique_ptr<ldns_rr, CDeleter<ldns_rr_free>>;
using Name = std::unique_ptr<ldns_rdf, CDeleter<ldns_rdf_deep_free>>;
template <class T>
using Malloced = std::unique_ptr<T, CDeleter<std::free>>;

constexpr std::uint16_t edns_size_of_ours = 1232;  // bytes; what DNS Flag Day 2020 recommends

const std::uint8_t* octets(Bytes message) { return reinterpret_cast<const std::uint8_t*>(message.data()); }

Packet parse_packet(Bytes message, ldns_status* why = nullptr) {
  ldns_pkt* packet = nullptr;
  const ldns_status status = ldns_wire2pkt(&packet, octets(message), message.size());
  if (why) *why = status;
  return Packet(status == LDNS_STATUS_OK ? packet : nullptr);
}

// The text of a domain name, and the name itself made lower case.
std::optional<std::string> lower_case_text(ldns_rdf* name) {
  ldns_dname2canonical(name);
  const Malloced<char> text(ldns_rdf2str(name));
  if (!text) return std::nullopt;
  std::string result(text.get());
  // ldns ends every name with the root's dot; a dot of a label is escaped, and a label cannot be empty.
  if (result.ends_with('.')) result.pop_back();
  return result;
}

std::optional<DnsQuestion> question_of(ldns_rr* record) {
  auto name = lower_case_text(ldns_rr_owner(record));
  if (!name) return std::nullopt;
  return DnsQuestion{std::move(*name), static_cast<DnsType>(ldns_rr_get_type(record)),
                     static_cast<std::uint16_t>(ldns_rr_get_class(record))};
}

// `data` becomes the record's.
Record record_for(const ldns_rr* question, ldns_rr_type type, std::chrono::seconds ttl, ldns_rdf* data) {
  Record record(ldns_rr_new());
  ldns_rr_set_owner(record.get(), ldns_rdf_clone(ldns_rr_owner(question)));
  ldns_rr_set_type(record.get(), type);
  ldns_rr_set_class(record.get(), ldns_rr_get_class(question));
  ldns_rr_set_ttl(record.get(), static_cast<std::uint32_t>(ttl.count()));
  ldns_rr_push_rdf(record.get(), data);
  return record;
}

void add_answers(ldns_pkt* packet, const ldns_rr* question, const DnsReply& reply) {
  const auto add = [&](ldns_rr_type type, ldns_rdf* data) {
    if (data)
      ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, record_for(question, type, reply.ttl, data).release());
  };
  for (const IpAddress& address : reply.addresses) {
    const auto form = address.is_v4() ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA;
    add(address.is_v4() ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA,
        ldns_rdf_new_frm_data(form, address.size(), address.data()));
  }
  if (!reply.pointer.empty()) add(LDNS_RR_TYPE_PTR, ldns_dname_new_frm_str(reply.pointer.c_str()));
}

DnsBytes header_only(Bytes query, DnsCode code) {
  DnsBytes reply(query.begin(), query.begin() + LDNS_HEADER_SIZE);
  auto* wire = reinterpret_cast<std::uint8_t*>(reply.data());
  wire[2] = LDNS_QR_MASK | (wire[2] & (LDNS_OPCODE_MASK | LDNS_RD_MASK));
  wire[3] = LDNS_RA_MASK | static_cast<std::uint8_t>(code);
  std::memset(wire + 4, 0, LDNS_HEADER_SIZE - 4);  // the four sections' counts
  return reply;
}

Packet reply_packet(const ldns_pkt* query, const ldns_rr* question, const DnsReply& reply) {
  Packet packet(ldns_pkt_new());
  ldns_pkt_set_id(packet.get(), ldns_pkt_id(query));
  ldns_pkt_set_qr(packet.get(), true);
  ldns_pkt_set_opcode(packet.get(), ldns_pkt_get_opcode(query));
  ldns_pkt_set_rd(packet.get(), ldns_pkt_rd(query));
  ldns_pkt_set_cd(packet.get(), ldns_pkt_cd(query));
  ldns_pkt_set_ra(packet.get(), true);
  ldns_pkt_set_rcode(packet.get(), static_cast<std::uint8_t>(reply.code));
  ldns_pkt_push_rr(packet.get(), LDNS_SECTION_QUESTION, ldns_rr_clone(question));
  add_answers(packet.get(), question, reply);
  // RFC 6891 6.1.1: an OPT record answers an OPT record, and only one.
  if (ldns_pkt_edns(query)) ldns_pkt_set_edns_udp_size(packet.get(), edns_size_of_ours);
  return packet;
}

}  // namespace

std::optional<DnsHeader> parse_dns_header(Bytes message) {
  if (message.size() < LDNS_HEADER_SIZE) return std::nullopt;
  const std::uint8_t* wire = octets(message);
  return DnsHeader{.id = static_cast<std::uint16_t>(LDNS_ID_WIRE(wire)),
                   .response = LDNS_QR_WIRE(wire) != 0,
                   .operation = static_cast<std::uint8_t>(LDNS_OPCODE_WIRE(wire)),
                   .truncated = LDNS_TC_WIRE(wire) != 0,
                   .code = static_cast<DnsCode>(LDNS_RCODE_WIRE(wire))};
}

Result<DnsQuery> parse_dns_query(Bytes message) {
  const auto header = parse_dns_header(message);
  if (!header) return Error{"cannot read a DNS query: it is shorter than a header"};
  ldns_status why = LDNS_STATUS_OK;
  const Packet packet = parse_packet(message, &why);
  if (!packet) return Error{std::string("cannot read a DNS query: ") + ldns_get_errorstr_by_id(why)};
  if (ldns_pkt_qdcount(packet.get()) != 1)
    return Error{"cannot read a DNS query: it does not ask exactly one question (RFC 9619)"};

  auto question = question_of(ldns_rr_list_rr(ldns_pkt_question(packet.get()), 0));
  if (!question) return Error{"cannot read a DNS query: its name has no text form"};
  std::optional<std::uint16_t> edns_size;
  if (ldns_pkt_edns(packet.get())) edns_size = ldns_pkt_edns_udp_size(packet.get());
  return DnsQuery{*header, std::move(*question), edns_size};
}

std::optional<DnsQuestion> parse_dns_question(Bytes message) {
  if (message.size() < LDNS_HEADER_SIZE || LDNS_QDCOUNT(octets(message)) != 1) return std::nullopt;
  ldns_rr* parsed = nullptr;
  std::size_t position = LDNS_HEADER_SIZE;
  if (ldns_wire2rr(&parsed, octets(message), message.size(), &position, LDNS_SECTION_QUESTION) !=
      LDNS_STATUS_OK)
    return std::nullopt;
  const Record record(parsed);
  return question_of(record.get());
}

std::vector<IpAddress> parse_dns_addresses(Bytes response) {
  std::vector<IpAddress> addresses;
  const Packet packet = parse_packet(response);
  if (!packet) return addresses;
  const ldns_rr_list* answers = ldns_pkt_answer(packet.get());
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(answers); ++i) {
    const ldns_rr* record = ldns_rr_list_rr(answers, i);
    const ldns_rr_type type = ldns_rr_get_type(record);
    if ((type != LDNS_RR_TYPE_A && type != LDNS_RR_TYPE_AAAA) || ldns_rr_rd_count(record) != 1) continue;
    const ldns_rdf* data = ldns_rr_rdf(record, 0);
    if (type == LDNS_RR_TYPE_A && ldns_rdf_size(data) == 4)
      addresses.push_back(IpAddress::v4_from(ldns_rdf_data(data)));
    if (type == LDNS_RR_TYPE_AAAA && ldns_rdf_size(data) == 16)
      addresses.push_back(IpAddress::v6_from(ldns_rdf_data(data)));
  }
  return addresses;
}

Result<DnsBytes> encode_dns_query(const std::string& name, DnsType type) {
  Name owner(ldns_dname_new_frm_str(name.c_str()));
  if (!owner) return Error{"cannot ask for " + name + ": it does not fit DNS"};
  const Packet packet(
      ldns_pkt_query_new(owner.release(), static_cast<ldns_rr_type>(type), LDNS_RR_CLASS_IN, LDNS_RD));
  std::uint8_t* encoded = nullptr;
  std::size_t size = 0;
  if (!packet || ldns_pkt2wire(&encoded, packet.get(), &size) != LDNS_STATUS_OK)
    return Error{"cannot ask for " + name + ": it does not fit DNS"};
  const Malloced<std::uint8_t> owned(encoded);
  const auto* first = reinterpret_cast<const std::byte*>(encoded);
  return DnsBytes(first, first + size);
}

void set_dns_id(DnsBytes& message, std::uint16_t id) {
  message[0] = static_cast<std::byte>(id >> 8);
  message[1] = static_cast<std::byte>(id);
}

DnsBytes encode_dns_reply(Bytes query, const DnsReply& reply) {
  const Packet asked = parse_packet(query);
  if (!asked || ldns_pkt_qdcount(asked.get()) != 1) return header_only(query, reply.code);
  const ldns_rr* question = ldns_rr_list_rr(ldns_pkt_question(asked.get()), 0);
  const Packet packet = reply_packet(asked.get(), question, reply);

  std::uint8_t* encoded = nullptr;
  std::size_t size = 0;
  if (ldns_pkt2wire(&encoded, packet.get(), &size) != LDNS_STATUS_OK)
    return header_only(query, DnsCode::server_failure);
  const Malloced<std::uint8_t> owned(encoded);
  const auto* first = reinterpret_cast<const std::byte*>(encoded);
  return DnsBytes(first, first + size);
}

}  // namespace nsrun
