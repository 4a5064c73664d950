#include "host/policy/rule_policy.h"

#include <algorithm>

#include "host/names/hosts_file.h"
#include "host/names/name_server.h"
#include "host/policy/reachability.h"

namespace nsrun {
namespace {

// What decided where no rule of the user's did.
const SharedText name_service{name_service_rule}, loopback_of_host{"host-loopback"}, loopback_name{host_name};

constexpr std::uint16_t name_service_port = 53;
constexpr std::uint16_t quic_port = 443;
constexpr std::uint16_t no_port = 0;  // only rules about all ports are about it

// Port numbers mean nothing to an echo.
bool is_name_service(const FlowKey& key) {
  return key.protocol != Protocol::icmp && key.target.port == name_service_port;
}

Verdict refuse(Refusal how, SharedText rule, SharedText name = {}) {
  return {.refusal = how, .name = std::move(name), .rule = std::move(rule)};
}

Verdict allow(const FlowKey& key, const Endpoint& endpoint, SharedText rule) {
  Verdict verdict{.allowed = true, .rule = std::move(rule)};
  verdict.target = {key.protocol, endpoint, {}, key.source};
  return verdict;
}

Refusal refusal_of(Action action, Protocol protocol) {
  if (action == Action::deny) return Refusal::drop;
  return protocol == Protocol::tcp ? Refusal::reset : Refusal::prohibited;
}

bool refuses(Action action) { return action == Action::deny || action == Action::reject; }

Verdict refuse_by(const RuleSet::Decision& decision, const RuleSet& rules, const Subject& subject) {
  Verdict verdict = refuse(refusal_of(decision.action, subject.protocol), rules.text(decision), subject.name);
  verdict.logs = rules.log(subject) != nullptr;
  return verdict;
}

// How it is dialled, beside where.
void add_ways(Verdict& verdict, const RuleSet& rules, const Subject& subject) {
  if (const Rule* rule = rules.via(subject)) verdict.target.via = rule->via;
  if (const Rule* rule = rules.fault(subject)) verdict.target.faults = rule->faults;
  verdict.logs = rules.log(subject) != nullptr;
}

void redirect(Verdict& verdict, const Place& to) {
  verdict.target.name = to.name;
  verdict.target.endpoint.address = to.address;
  if (to.port) verdict.target.endpoint.port = to.port;
  verdict.target.permits = {};  // whoever wrote the rule named the place
}

// Whether a rule is about the host's loopback, rather than about much that it happens to be among.
bool names_loopback(const Rule* rule, const IpAddress& gateway) {
  if (!rule) return false;
  const auto& [host, network] = std::tie(rule->match.host, rule->match.network);
  if (host == Match::Host::name) return true;
  return host == Match::Host::network && (network.address == gateway || is_protected(network));
}

// The host's loopback goes by three names: the gateway's address, that of its own, and host_name.
RuleSet::Decision decide_loopback(const RuleSet& rules, const FlowKey& key) {
  const auto& [gateway, port] = key.target;
  const auto as_gateway = rules.decide({key.protocol, host_name, gateway, port});
  const auto as_loopback = rules.decide(
      {key.protocol, host_name, gateway.is_v4() ? IpAddress::loopback4() : IpAddress::loopback6(), port});
  return as_loopback.position < as_gateway.position ? as_loopback : as_gateway;
}

Inspection inspection_for(const FlowKey& key, const RuleSet& rules, const RuleSet::Decision& decision) {
  if (key.protocol != Protocol::tcp) return Inspection::none;
  // A name that is refused has addresses, and neighbours on them.
  const auto otherwise = rules.refuses_by_name() ? Inspection::refused : Inspection::none;
  if (!decision.rule) return otherwise;
  const Match& match = decision.rule->match;
  if (match.content == Match::Content::tls) return Inspection::tls;
  if (match.content == Match::Content::http) return Inspection::http;
  if (decision.action == Action::redirect) return Inspection::none;
  return match.is_by_name() ? Inspection::name : otherwise;
}

// A rule that refuses a name, before the one that decided, is heeded also where only the flow itself says the
// name.
void add_inspection(Verdict& verdict, const FlowKey& key, std::shared_ptr<const RuleSet> rules,
                    const RuleSet::Decision& decision) {
  verdict.inspection = inspection_for(key, *rules, decision);
  const bool is_loose = verdict.inspection == Inspection::none || verdict.inspection == Inspection::refused;
  // Whoever is asked answers for the name that is asked about.
  if (is_loose && key.protocol == Protocol::tcp && verdict.asks && !verdict.target.name.empty())
    verdict.inspection = Inspection::name;
  if (verdict.inspection == Inspection::none || !rules->refuses_by_name()) return;
  verdict.permits_server = [rules, decision, port = key.target.port](const std::string& name) {
    const auto by_name = rules->decide({Protocol::tcp, name, std::nullopt, port});
    return !refuses(by_name.action) || !by_name.rule || !by_name.rule->match.is_by_name() ||
           by_name.position > decision.position;
  };
}

// The host's loopback is one place, whatever the guest calls it: only a rule that says what a flow has to be
// is heeded, with the name that it is about, or with none.
void inspect_gateway(Verdict& verdict, const FlowKey& key, std::shared_ptr<const RuleSet> rules,
                     const RuleSet::Decision& decision) {
  const auto otherwise = rules->refuses_by_name() ? Inspection::refused : Inspection::none;
  add_inspection(verdict, key, std::move(rules), decision);
  if (verdict.inspection == Inspection::name) verdict.inspection = otherwise;
  const bool is_held = verdict.inspection == Inspection::tls || verdict.inspection == Inspection::http;
  if (is_held && !decision.rule->match.is_by_name()) verdict.name = {};
}

// Whether the rule is about one name, to which this machine itself gives the address. No server can make it
// do that, so the author of the rule means the address.
bool is_named_here(const Rule* rule, const IpAddress& address, const std::string& hosts_file) {
  if (!rule || rule->match.host != Match::Host::name || hosts_file.empty()) return false;
  const auto known = HostsFile(hosts_file).addresses_of(rule->match.name);
  return std::find(known.begin(), known.end(), address) != known.end();
}

// Reached only where a rule names it.
bool is_out_of_reach(const IpAddress& address, bool protects_own) {
  return is_protected(address) || (protects_own && is_own_address(address));
}

}  // namespace

RulePolicy::RulePolicy(Options options, SyntheticNames& names, std::shared_ptr<const RuleSet> rules)
    : options_(std::move(options)), names_(names), rules_(std::move(rules)) {}

SharedText RulePolicy::rule_about(std::string_view name) const {
  const auto rules = this->rules();
  return rules->text(rules->decide({Protocol::tcp, name, std::nullopt, no_port}));
}

Verdict RulePolicy::judge(const FlowKey& key) {
  const auto& address = key.target.address;
  const auto& network = options_.network;
  if (network && network->is_name_server(address)) {
    if (is_name_service(key)) return allow(key, key.target, name_service);
    return refuse(Refusal::reset, name_service);
  }
  auto rules = this->rules();
  if (network && network->is_gateway(address)) return judge_gateway(key, std::move(rules));
  // Addresses that were handed out stay names, also when no new ones are.
  if (SyntheticNames::covers(address)) {
    if (auto name = names_.name_of(address)) return judge_name(key, std::move(rules), std::move(*name));
    if (gives_synthetic()) return refuse(Refusal::host_unreachable, "unknown-name");
  }
  return judge_address(key, std::move(rules));
}

Verdict RulePolicy::judge_again(const FlowKey& key, const SharedText& name) {
  if (!name.empty() && names_.name_of(key.target.address)) return judge_name(key, rules(), name);
  return judge(key);
}

// What was asked about and allowed goes on as it was judged.
Task<Verdict> RulePolicy::ask(const FlowKey& key, Verdict undecided) {
  Question question{key.protocol, undecided.name, {}, key.target.port};
  if (undecided.name.empty()) question.address = key.target.address;
  Answer answer;
  if (options_.approvals) answer = co_await options_.approvals->ask(std::move(question));
  undecided.rule = undecided.rule.str() + ": " + std::string(to_string(answer.action));
  if (answer.action == Action::allow) co_return undecided;
  undecided.allowed = false;
  undecided.refusal = refusal_of(answer.action, key.protocol);
  co_return undecided;
}

Verdict RulePolicy::judge_gateway(const FlowKey& key, std::shared_ptr<const RuleSet> shared) const {
  const RuleSet& rules = *shared;
  const auto& [gateway, port] = key.target;
  const auto& loopback = gateway.is_v4() ? IpAddress::loopback4() : IpAddress::loopback6();
  const Subject as_gateway{key.protocol, host_name, gateway, port};
  const auto decision = decide_loopback(rules, key);
  if (refuses(decision.action)) return refuse_by(decision, rules, as_gateway);

  if (!options_.host_loopback && !names_loopback(decision.rule, gateway))
    return refuse(Refusal::reset, loopback_of_host, loopback_name);
  Verdict verdict = allow(key, {loopback, port}, decision.rule ? rules.text(decision) : loopback_of_host);
  verdict.name = loopback_name;
  verdict.asks = decision.action == Action::ask;
  // A server may listen at the other family's address alone (host/dialers/loopback_dialer.h): what the same
  // rule allows may go there.
  FlowKey other = key;
  const auto& network = *options_.network;  // whose gateway it is
  other.target.address = gateway.is_v4() ? network.gateway6 : network.gateway4;
  verdict.target.permits = [shared, other, loopback, decision](const IpAddress& address) {
    return address == loopback || decide_loopback(*shared, other).position == decision.position;
  };
  inspect_gateway(verdict, key, std::move(shared), decision);
  add_ways(verdict, rules, as_gateway);
  if (decision.action == Action::redirect) redirect(verdict, decision.rule->to);
  return verdict;
}

Verdict RulePolicy::judge_name(const FlowKey& key, std::shared_ptr<const RuleSet> rules,
                               SharedText name) const {
  const auto port = key.target.port;
  const Subject subject{key.protocol, name.str(), std::nullopt, port};
  const auto decision = rules->decide(subject);
  if (refuses(decision.action)) return refuse_by(decision, *rules, subject);
  // QUIC hides its server's name from us, and clients fall back to TCP.
  const bool by_name = decision.rule && decision.rule->match.is_by_name();
  if (key.protocol == Protocol::udp && port == quic_port && by_name && !decision.rule->match.protocol)
    return refuse(Refusal::prohibited, "quic", std::move(name));

  Verdict verdict = allow(key, {{}, port}, rules->text(decision));
  verdict.target.name = name.str();
  verdict.asks = decision.action == Action::ask;
  add_inspection(verdict, key, rules, decision);
  verdict.target.permits = [rules, decision, protocol = key.protocol, port,
                            protects_own = options_.protects_own,
                            hosts_file = options_.hosts_file](const IpAddress& address) {
    if (address.is_unspecified()) return false;
    const Subject resolved{protocol, {}, address, port};
    // Nobody is asked about it, or sent elsewhere, at this late moment: what would be, is not dialled.
    const auto by_address = rules->decide_address(resolved, decision);
    // Nor is it inspected otherwise than its name has it.
    if (by_address.position != decision.position &&
        (by_address.action != Action::allow || !RuleSet::demands_no_more(by_address, decision)))
      return false;
    return !is_out_of_reach(address, protects_own) || rules->names_protected(resolved, decision) ||
           is_named_here(decision.rule, address, hosts_file);
  };
  add_ways(verdict, *rules, subject);
  if (decision.action == Action::redirect) redirect(verdict, decision.rule->to);
  verdict.name = std::move(name);
  return verdict;
}

Verdict RulePolicy::judge_address(const FlowKey& key, std::shared_ptr<const RuleSet> shared) const {
  const RuleSet& rules = *shared;
  const Subject subject{key.protocol, {}, key.target.address, key.target.port};
  const auto decision = rules.decide(subject);
  if (refuses(decision.action)) return refuse_by(decision, rules, subject);
  const bool redirected = decision.action == Action::redirect;
  if (key.target.address.is_unspecified() && !redirected)
    return refuse(Refusal::prohibited, "unspecified-address");
  if (is_out_of_reach(key.target.address, options_.protects_own) && !redirected &&
      !rules.names_protected(subject, decision))
    return refuse(Refusal::prohibited, "protected-address");

  Verdict verdict = allow(key, key.target, rules.text(decision));
  verdict.asks = decision.action == Action::ask;
  add_inspection(verdict, key, shared, decision);
  add_ways(verdict, rules, subject);
  if (redirected) redirect(verdict, decision.rule->to);
  return verdict;
}

}  // namespace nsrun
