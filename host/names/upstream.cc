#include "host/names/upstream.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "host/names/dns_framing.h"

// Theory of operation
//
// A query goes to the servers in the order of resolv.conf, each given the configured time; when the last has
// kept silent the round is repeated as often as the configuration says. A server that refuses the connection,
// or answers that it failed, is passed over at once; after a round in which one answered so, that answer is
// the guest's: asking again at once would only hear it again.
//
// A guess at an answer must hit three unknowns (RFC 5452): each exchange has a socket of its own, thus a
// source port the kernel chose, an id of its own from the kernel's random numbers rather than the guest's,
// and the question, which must come back. What does not fit is ignored, up to a number that tells an attack.
//
// Queries that came over TCP go over TCP, since the guest wants an answer that does not fit a datagram. A
// server that gives none over TCP is asked over UDP: a truncated answer says so in its header.

namespace nsrun {

// One question on its way, the same for every server.
struct Upstream::Question {
  Bytes message;
  const DnsQuery& query;
  Transport transport;
  ResolverConfig config;  // a copy: the file may change while servers are waited for
};

namespace {

constexpr std::size_t min_datagram_room =
    4096;                         // bytes; answers may exceed the 512 a guest without EDNS takes
constexpr int max_misfits = 100;  // answers that do not fit the query; then the exchange failed

std::uint16_t random_id() {
  std::uint16_t id = 0;
  // Fails only where the kernel has no getrandom(2), which came with 3.17.
  if (::getentropy(&id, sizeof id) != 0) std::abort();
  return id;
}

// As in the C library, these send the asker to the next server.
bool reports_failure(Bytes answer) {
  const auto code = parse_dns_header(answer)->code;
  return code == DnsCode::server_failure || code == DnsCode::not_implemented || code == DnsCode::refused;
}

bool fits(Bytes answer, std::uint16_t id, const DnsQuestion& question) {
  const auto header = parse_dns_header(answer);
  return header && header->response && header->id == id && parse_dns_question(answer) == question;
}

// Waits for the answer that fits; nothing when the connection ends or fails first.
Task<std::optional<DnsBytes>> read_answer(Connection& server, std::uint16_t id, const DnsQuery& query) {
  const std::size_t room = std::max<std::size_t>(query.edns_size.value_or(0), min_datagram_room);
  for (int misfits = 0; misfits < max_misfits; ++misfits) {
    auto answer = co_await read_dns_message(server, room);
    if (!answer || !*answer) co_return std::nullopt;
    if (fits(**answer, id, query.question)) co_return std::move(*answer);
  }
  co_return std::nullopt;
}

// Counts for as long as it lives.
class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;

 private:
  std::size_t& count_;
};

}  // namespace

Task<std::optional<DnsBytes>> Upstream::exchange(const Question& question, const Target& target) {
  const auto server = co_await dialer_.dial(target);
  if (!server) co_return std::nullopt;

  DnsBytes message(question.message.begin(), question.message.end());
  const std::uint16_t id = random_id();
  set_dns_id(message, id);
  const auto written = co_await write_dns_message(**server, message);
  if (!written) co_return std::nullopt;

  auto answer = co_await read_answer(**server, id, question.query);
  if (answer) set_dns_id(*answer, question.query.header.id);
  co_return answer;
}

Task<std::optional<DnsBytes>> Upstream::ask_server(const Question& question, const Endpoint& server) {
  if (question.transport == Transport::stream) {
    const Target target{Protocol::tcp, server, {}};
    auto answer = co_await within(question.config.timeout, exchange(question, target));
    if (answer && *answer) co_return std::move(*answer);
  }
  const Target target{Protocol::udp, server, {}};
  auto answer = co_await within(question.config.timeout, exchange(question, target));
  if (!answer) co_return std::nullopt;
  co_return std::move(*answer);
}

Task<std::optional<DnsBytes>> Upstream::ask_servers(const Question& question) {
  std::optional<DnsBytes> failure;
  for (int attempt = 0; attempt < question.config.attempts && !failure; ++attempt) {
    for (const Endpoint& server : question.config.servers) {
      auto answer = co_await ask_server(question, server);
      if (!answer) continue;
      if (!reports_failure(*answer)) co_return answer;
      failure = std::move(answer);
    }
  }
  co_return failure;
}

Task<std::optional<DnsBytes>> Upstream::ask(Bytes message, const DnsQuery& query, Transport transport) {
  if (outstanding_ >= max_outstanding) co_return std::nullopt;
  const Counted counted(outstanding_);
  const Question question{message, query, transport, resolvers_.current()};
  co_return co_await ask_servers(question);
}

}  // namespace nsrun
