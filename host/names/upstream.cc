#include "host/names/upstream.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "host/names/dns_framing.h"
#include "runtime/staggered.h"

// Theory of operation
//
// A query goes to the servers in the order of resolv.conf. The next server is asked as soon as one fails, or
// has been silent for a second; the earlier ones may still answer, each within the configured time. The first
// good answer is the guest's. A server that was silent, or could not be reached, is asked after the others
// for a while (server_health.h). When the last server has failed the round is repeated as often as the
// configuration says; after a round in which a server reported a failure, that answer is the guest's: the
// next round would only repeat it.
//
// A guess at an answer must hit three unknowns (RFC 5452): each exchange has a socket of its own, thus a
// source port the kernel chose, an id of its own from the kernel's random numbers rather than the guest's,
// and the question, which must come back. What does not fit is ignored, up to a number that tells an attack.
//
// Queries that came over TCP go over TCP, since the guest wants an answer that does not fit a datagram. A
// server that is silent over TCP is asked over UDP, too. A truncated answer is used when there is no other:
// its header says so.

namespace nsrun {

// One question on its way, the same for every server.
struct Upstream::Question {
  Bytes message;
  const DnsQuery& query;
  Transport transport;
  ResolverConfig config;  // a copy: the file may change while servers are waited for
  // Answers that are used when there is no good one. The guest has the last of its kind.
  std::optional<DnsBytes> failure = {}, truncated = {};
};

// One server that is asked, in one round.
struct Upstream::Asked {
  ServerHealth::Choice choice;
  std::optional<Clock::time_point> since = {};  // nothing: not asked yet, or it has answered or failed
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

Task<std::optional<DnsBytes>> Upstream::ask_server(Question& question, Asked& asked) {
  const Target& server = asked.choice.server;
  asked.since = Clock::now();
  auto within_time = co_await within(question.config.timeout, exchange(question, server));
  asked.since.reset();
  auto answer = within_time ? std::move(*within_time) : std::nullopt;
  if (!answer) {
    health_.was_silent(server);
    co_return std::nullopt;
  }
  health_.answered(server);
  if (reports_failure(*answer)) {
    question.failure = std::move(answer);
    co_return std::nullopt;
  }
  if (question.transport == Transport::stream && parse_dns_header(*answer)->truncated) {
    question.truncated = std::move(answer);
    co_return std::nullopt;
  }
  co_return answer;
}

std::vector<Upstream::Asked> Upstream::servers_for(const Question& question) {
  std::vector<Target> servers;
  for (const ResolverAddress& server : question.config.servers) {
    const std::string name = server.zone.empty() ? "" : server.address.to_string() + "%" + server.zone;
    if (question.transport == Transport::stream) servers.push_back({Protocol::tcp, server, name});
    servers.push_back({Protocol::udp, server, name});
  }
  std::vector<Asked> round;
  for (auto& choice : health_.order(std::move(servers), question.config.timeout))
    round.push_back({std::move(choice)});
  return round;
}

Task<std::optional<DnsBytes>> Upstream::ask_round(Question& question) {
  auto round = servers_for(question);
  std::vector<Clock::duration> delays{Clock::duration::zero()};
  for (const Asked& asked : round) delays.push_back(asked.choice.patience);
  delays.pop_back();
  const std::function<Task<std::optional<DnsBytes>>(std::size_t)> attempt = [&](std::size_t i) {
    return ask_server(question, round[i]);
  };
  auto answer = co_await race_staggered(std::move(delays), attempt);
  if (answer) {
    const auto now = Clock::now();
    for (const Asked& asked : round)
      if (asked.since && now - *asked.since >= asked.choice.patience) health_.was_silent(asked.choice.server);
  }
  co_return answer;
}

Task<std::optional<DnsBytes>> Upstream::ask(Bytes message, const DnsQuery& query, Transport transport,
                                            FairSemaphore::Asker asker) {
  auto place = places_.try_take();
  if (!place)
    if (auto granted = co_await within(max_wait, places_.take(asker))) place = std::move(*granted);
  if (!place) co_return std::nullopt;
  Question question{message, query, transport, resolvers_.current()};
  for (int attempt = 0; attempt < question.config.attempts; ++attempt) {
    if (auto answer = co_await ask_round(question)) co_return answer;
    if (question.truncated) co_return std::move(question.truncated);
    if (question.failure) co_return std::move(question.failure);
  }
  co_return std::nullopt;
}

}  // namespace nsrun
