#include "host/names/name_server.h"

#include "host/names/query_fate.h"
#include "host/names/reverse_name.h"
#include "host/text/canonical_name.h"
#include "netstack/devices/flip_bit.h"

// Theory of operation
//
// A query is answered by the first of these that has a word on it:
//
//   malformed, several questions, zone transfers ─► an error
//   host.nsrun.internal, localhost ───────────────► the gateway's addresses, the loopback's
//   PTR of a synthetic address ───────────────────► its name
//   a name the guest may not ask about ───────────► no such name
//   A, AAAA under name rules ─────────────────────► synthetic addresses
//   anything else ────────────────────────────────► what the host's resolvers say, unchanged but for the id
//
// Under name rules other records that carry addresses (SVCB and HTTPS hints, ANY) are said not to exist, for
// a flow to such an address would not be known by its name. No answer here has a SOA record, so the guest
// caches no absence (RFC 2308 5).

namespace nsrun {
namespace {

constexpr std::size_t conversation_cost = 10 << 10;  // bytes: with the pipe to it, and without its queries
constexpr std::uint16_t internet = 1;                // class IN
constexpr std::chrono::seconds own_ttl{
    60};  // long enough for a program's start, short against a slot's reuse

// `address` where the question's type is that of its family, else an empty answer: the name has other
// records.
DnsReply address_reply(DnsType type, const std::optional<IpAddress>& v4, const std::optional<IpAddress>& v6) {
  DnsReply reply{.ttl = own_ttl};
  if (type == DnsType::a && v4) reply.addresses.push_back(*v4);
  if (type == DnsType::aaaa && v6) reply.addresses.push_back(*v6);
  return reply;
}

// For a name that has no canonical form: the names that it is below, behind a label that is no rule's.
std::string stand_in(std::string_view name) {
  std::size_t plain = 0;  // where the part without escapes begins (RFC 1035 5.1: \DDD, \X)
  for (std::size_t at = name.find('\\'); at < name.size(); at = name.find('\\', plain))
    plain = at + (at + 1 < name.size() && name[at + 1] >= '0' && name[at + 1] <= '9' ? 4 : 2);
  const auto dot = name.find('.', plain);
  return dot == name.npos ? std::string{} : "\\" + std::string(name.substr(dot));
}

bool is_zone_transfer(DnsType type) { return type == DnsType::axfr || type == DnsType::ixfr; }

}  // namespace

NameServer::NameServer(Executor executor, NameServerOptions options)
    : executor_(executor),
      options_(std::move(options)),
      upstream_(executor, options_.resolvers, options_.dialer) {}

Task<> NameServer::serve(std::unique_ptr<Connection> guest, FlowKey key) {
  MemoryCharge memory(options_.memory);
  if (!memory.add(conversation_cost, MemoryUse::ahead)) co_return;
  Asker asker{key, {}};
  const auto answerer = [this, &asker](Bytes query, Transport transport) {
    return answers(query, transport, asker);
  };
  DnsConversation conversation(executor_, *guest, answerer, options_.memory);
  co_await conversation.run();
}

Task<DnsAnswers> NameServer::answers(Bytes message, Transport transport, Asker& asker) {
  DnsAnswers all;
  const auto query = parse_dns_query(message);
  if (const auto faults = query ? faults_of(*query) : nullptr) {
    all = co_await faulty_answers(message, transport, query->question, *faults, asker);
    co_return all;
  }
  if (auto one = co_await answer(message, transport, asker)) all.push_back(std::move(*one));
  co_return all;
}

std::shared_ptr<Faults> NameServer::faults_of(const DnsQuery& query) const {
  if (!options_.policy || query.header.response || query.header.operation != 0) return nullptr;
  const auto name = canonical_name(query.question.name);
  return options_.policy->faults_of(name ? *name : std::string{});
}

// `faults` are the caller's to keep.
Task<DnsAnswers> NameServer::faulty_answers(Bytes message, Transport transport, const DnsQuestion& question,
                                            Faults& faults, Asker& asker) {
  const auto fate = fate_of_query(faults, question);
  DnsAnswers all;
  if (fate.delay.count() > 0) co_await sleep_for(fate.delay);
  if (fate.lost) co_return all;
  std::optional<DnsBytes> one;
  if (fate.reply)
    one = encode_dns_reply(message, *fate.reply);
  else
    one = co_await answer(message, transport, asker);
  if (!one) co_return all;
  if (fate.flips) flip_bit(*one, *fate.flips);
  all.assign(fate.copies, *one);
  co_return all;
}

Task<std::optional<DnsBytes>> NameServer::answer(Bytes message, Transport transport, Asker& asker) {
  const auto header = parse_dns_header(message);
  // To answer an answer would be the start of a loop.
  if (!header || header->response) co_return std::nullopt;
  // Notifications and updates are between name servers.
  if (header->operation != 0) co_return encode_dns_reply(message, {.code = DnsCode::not_implemented});

  const auto query = parse_dns_query(message);
  if (!query) co_return encode_dns_reply(message, {.code = DnsCode::format_error});
  // A transfer over TCP may be a stream of messages (RFC 5936 2.2), where one answer a query is forwarded.
  if (is_zone_transfer(query->question.type))
    co_return encode_dns_reply(message, {.code = DnsCode::not_implemented});

  if (const auto reply = own_reply(query->question, asker)) co_return encode_dns_reply(message, *reply);
  if (!options_.asks_world) co_return encode_dns_reply(message, DnsReply{});
  co_return co_await forward(message, *query, transport, asker);
}

std::optional<DnsReply> NameServer::own_reply(const DnsQuestion& question, Asker& asker) {
  if (question.record_class == internet) {
    if (question.name == host_name) return address_reply(question.type, options_.gateway4, options_.gateway6);
    // RFC 6761 6.3. The guest's own, of course.
    if (is_localhost(question.name))
      return address_reply(question.type, IpAddress::v4(127, 0, 0, 1), IpAddress::parse("::1"));
    if (auto reply = pointer_reply(question)) return reply;
  }
  if (!options_.policy) return std::nullopt;

  // What has no canonical form stands for any, and for any below the names that it is below: only rules that
  // hold for all of those permit it.
  const auto canonical = canonical_name(question.name);
  const std::string name = canonical ? *canonical : std::string{};
  const std::string other = canonical ? name : stand_in(question.name);
  if (!options_.policy->permits_name(name) || !options_.policy->permits_name(other))
    return refuse(question, asker);
  if (canonical && options_.asked) options_.asked(name);
  std::optional<DnsReply> reply;
  if (options_.policy->gives_synthetic() && question.record_class == internet)
    reply = synthetic_reply(question, name);
  const bool tells = options_.policy->tells_outside(name) && options_.policy->tells_outside(other);
  if (!reply && !tells) reply.emplace();  // no records
  return reply;
}

DnsReply NameServer::refuse(const DnsQuestion& question, Asker& asker) {
  if (options_.refused && asker.refused != question.name) options_.refused(asker.key, question.name);
  asker.refused = question.name;
  return {.code = DnsCode::name_error};
}

// `name` is canonical; empty when it has no such form. What is no host's name has no address.
std::optional<DnsReply> NameServer::synthetic_reply(const DnsQuestion& question, const std::string& name) {
  switch (question.type) {
    case DnsType::a:
      if (!is_host_name(name)) return DnsReply{.code = DnsCode::name_error};
      return address_reply(question.type, options_.synthetic->v4_for(name), std::nullopt);
    case DnsType::aaaa:
      if (!is_host_name(name)) return DnsReply{.code = DnsCode::name_error};
      if (!options_.gateway6) return DnsReply{};
      return address_reply(question.type, std::nullopt, options_.synthetic->v6_for(name));
    case DnsType::svcb:
    case DnsType::https:
    case DnsType::any:
      return DnsReply{};
    default:
      return std::nullopt;
  }
}

std::optional<DnsReply> NameServer::pointer_reply(const DnsQuestion& question) {
  if (!options_.synthetic || question.type != DnsType::ptr) return std::nullopt;
  const auto address = parse_reverse_name(question.name);
  if (!address || !SyntheticNames::covers(*address)) return std::nullopt;
  const auto name = options_.synthetic->name_of(*address);
  if (!name && !(options_.policy && options_.policy->gives_synthetic())) return std::nullopt;
  if (!name) return DnsReply{.code = DnsCode::name_error};
  return DnsReply{.pointer = *name, .ttl = own_ttl};
}

Task<DnsBytes> NameServer::forward(Bytes message, const DnsQuery& query, Transport transport,
                                   const Asker& asker) {
  auto answer = co_await upstream_.ask(message, query, transport, &asker);
  if (!answer) co_return encode_dns_reply(message, {.code = DnsCode::server_failure});
  const DnsType type = query.question.type;
  if (options_.recent && (type == DnsType::a || type == DnsType::aaaa)) {
    for (const IpAddress& address : parse_dns_addresses(*answer))
      options_.recent->remember(address, query.question.name);
  }
  co_return std::move(*answer);
}

}  // namespace nsrun
