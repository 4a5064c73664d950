#include "host/names/host_resolver.h"

#include <algorithm>

#include "host/text/canonical_name.h"

// Theory of operation
//
// getaddrinfo(3) blocks, cannot be cancelled, and loads whatever plug-ins nsswitch.conf(5) names into this
// process. So names are looked up here, by the parts that serve the guest's queries:
//
//   nsswitch.conf  the order of `files` and `dns` (name_sources.h); plug-ins such as mdns are not asked
//   hosts          all addresses of a name; a name that stands there is not asked for elsewhere
//   resolv.conf    nameserver, search, domain, and of options timeout, attempts and ndots
//   localhost      and names below it are the loopback addresses, and never asked for outside (RFC 6761 6.3)
//
// A name with at least ndots dots is asked for as it is, and then in each domain of the search list; with
// fewer dots it is the other way round (resolv.conf(5)). The first that has addresses counts. When no server
// answers for one, the others are not tried: nobody would answer for them, either.
//
// Both families are asked for at once. Some servers never answer for a family that a name does not have, so
// once one family has addresses the other has a second left.

namespace nsrun {
namespace {

constexpr std::size_t max_nsswitch = 65536;  // bytes

std::vector<IpAddress> loopback_addresses() { return {IpAddress::loopback6(), IpAddress::loopback4()}; }

// The names to ask for, in their order.
std::vector<std::string> candidates(const std::string& name, bool rooted, const ResolverConfig& config) {
  std::vector<std::string> names;
  if (!rooted)
    for (const auto& domain : config.search)
      if (auto full = canonical_name(name + "." + domain)) names.push_back(std::move(*full));
  const bool as_it_is_first = std::count(name.begin(), name.end(), '.') >= config.ndots;
  names.insert(as_it_is_first ? names.begin() : names.end(), name);
  return names;
}

Error unresolved(const std::string& name, const std::string& why) {
  return {"cannot resolve " + name + ": " + why, errno_code(EHOSTUNREACH)};
}

// Returns when `found` was raised and `limit` has passed since.
Task<> run_out(Signal& found, Clock::duration limit) {
  co_await found.wait();
  co_await sleep_for(limit);
}

}  // namespace

HostResolver::HostResolver(Executor executor, Dialer& servers, Files files)
    : executor_(executor),
      resolvers_(std::move(files.resolv_conf)),
      hosts_(std::move(files.hosts)),
      nsswitch_(std::move(files.nsswitch), max_nsswitch),
      upstream_(executor, resolvers_, servers) {}

Task<Result<std::vector<IpAddress>>> HostResolver::resolve(std::string name) {
  if (const auto address = IpAddress::parse(name)) co_return std::vector{*address};
  const auto canonical = canonical_name(name);
  if (!canonical) co_return unresolved(name, "it is not a valid host name");
  if (!is_host_name(*canonical)) co_return unresolved(name, "it is neither an address nor a host name");
  auto answer = co_await look_up(*canonical, name.ends_with('.'));
  switch (answer.outcome) {
    case Outcome::found:
      co_return std::move(answer.addresses);
    case Outcome::absent:
      co_return unresolved(name, "the name does not exist, or has no address");
    case Outcome::failed:
      co_return unresolved(name, "the name servers report a failure");
    case Outcome::silent:
      break;
  }
  co_return unresolved(name, "no name server answers");
}

Task<HostResolver::Answer> HostResolver::look_up(std::string name, bool rooted) {
  if (const auto text = nsswitch_.changed()) sources_ = parse_nsswitch(*text);
  const auto sources = sources_;  // the file may change while servers are waited for
  Answer answer{Outcome::absent};
  for (const NameSource source : sources) {
    if (source == NameSource::hosts_file) {
      if (auto addresses = hosts_.addresses_of(name); !addresses.empty())
        co_return Answer{Outcome::found, std::move(addresses)};
      continue;
    }
    if (is_localhost(name)) continue;
    answer = co_await ask_dns(name, rooted);
    if (answer.outcome == Outcome::found) break;
  }
  if (answer.outcome != Outcome::found && is_localhost(name))
    co_return Answer{Outcome::found, loopback_addresses()};
  co_return answer;
}

Task<HostResolver::Answer> HostResolver::ask_dns(std::string name, bool rooted) {
  Answer worst{Outcome::absent};
  const auto names = candidates(name, rooted, resolvers_.current());
  for (const auto& candidate : names) {
    auto answer = co_await ask_name(candidate);
    if (answer.outcome == Outcome::found || answer.outcome == Outcome::silent) co_return answer;
    if (answer.outcome == Outcome::failed) worst.outcome = Outcome::failed;
  }
  co_return worst;
}

Task<HostResolver::Answer> HostResolver::ask_name(std::string name) {
  Signal found(executor_);
  Answer v6, v4;
  co_await either(both(ask_type(name, DnsType::aaaa, v6, found), ask_type(name, DnsType::a, v4, found)),
                  run_out(found, laggard_limit));
  if (v6.outcome != Outcome::found && v4.outcome != Outcome::found)
    co_return Answer{std::max(v6.outcome, v4.outcome)};
  v6.outcome = Outcome::found;
  v6.addresses.insert(v6.addresses.end(), v4.addresses.begin(), v4.addresses.end());
  co_return v6;
}

// `name`, `answer` and `found` outlive the task.
Task<> HostResolver::ask_type(const std::string& name, DnsType type, Answer& answer, Signal& found) {
  const auto message = encode_dns_query(name, type);
  const auto query = message ? parse_dns_query(*message) : message.error();
  if (!query) {
    answer.outcome = Outcome::absent;
    co_return;
  }
  auto reply = co_await upstream_.ask(*message, *query, Transport::datagram, &answer);
  if (reply && parse_dns_header(*reply)->truncated)
    if (auto whole = co_await upstream_.ask(*message, *query, Transport::stream, &answer))
      reply = std::move(whole);
  if (!reply) co_return;
  const auto code = parse_dns_header(*reply)->code;
  const bool answered = code == DnsCode::no_error || code == DnsCode::name_error;
  for (const IpAddress& address : parse_dns_addresses(*reply))
    if (answered && address.is_v4() == (type == DnsType::a)) answer.addresses.push_back(address);
  answer.outcome = !answered ? Outcome::failed : answer.addresses.empty() ? Outcome::absent : Outcome::found;
  if (answer.outcome == Outcome::found) found.raise();
}

}  // namespace nsrun
