#include "host/policy/explain.h"

#include <algorithm>
#include <array>

#include "host/names/name_server.h"
#include "host/outside/dial_url.h"
#include "host/policy/rule_policy.h"

// Theory of operation
//
// The verdict is that of a RulePolicy with the network that sandboxes have by default, asked as a sandbox
// asks it: a name by a synthetic address. So what is explained is what is done. Around it stand words: which
// rule it was, where that was said, and which other rules are about the same host.

namespace nsrun {
namespace {

constexpr std::size_t max_listed = 8;  // rules that are passed over

struct Reason {
  std::string_view rule, words;
};
constexpr std::array reasons = {
    Reason{"name-service", "the sandbox's name server takes questions at port 53 alone"},
    Reason{"host-loopback",
           "this machine's own loopback is reached with --host-loopback, or a rule that names it"},
    Reason{
        "protected-address",
        "loopback, link-local, multicast and metadata addresses are reached only by a rule that names them"},
    Reason{"unspecified-address",
           "0.0.0.0/8 and :: are not addresses of a host; connect(2) would take them for loopback"},
    Reason{"quic",
           "QUIC does not show its server's name, and clients fall back to TCP; a rule that begins with udp/ "
           "allows it"},
    Reason{"unknown-name", "addresses of this range stand for names, and this one for none"},
};

bool is_about(const Match& match, const Subject& subject) {
  switch (match.host) {
    case Match::Host::any:
      return true;
    case Match::Host::name:
      return subject.name == match.name;
    case Match::Host::below:
      return subject.name.size() > match.name.size() && subject.name.ends_with(match.name) &&
             subject.name[subject.name.size() - match.name.size() - 1] == '.';
    case Match::Host::network:
      return subject.address && match.network.contains(*subject.address);
  }
  return false;
}

std::string said(const Rule& rule) {
  return rule.where.empty() ? rule.to_string() : rule.where + ": " + rule.to_string();
}

std::string verdict_of(const Verdict& verdict) {
  if (!verdict.allowed) return verdict.refusal == Refusal::drop ? "deny" : "reject";
  return verdict.asks ? "ask" : "allow";
}

std::string condition_of(Inspection inspection, const std::string& name) {
  switch (inspection) {
    case Inspection::name:
      return "if it is TLS, its server name must be " + name + ": another, none or an encrypted one is reset";
    case Inspection::tls:
      return name.empty() ? "it must be TLS" : "it must be TLS with the server name " + name;
    case Inspection::http:
      return "each request must be HTTP/1 for " + (name.empty() ? "this address" : name);
    case Inspection::refused:
      return "if it is TLS with a server name that the rules refuse, it is reset";
    case Inspection::none:
      return {};
  }
  return {};
}

class Explainer {
 public:
  Explainer(const std::shared_ptr<const RuleSet>& rules, const Match& asked)
      : rules_(*rules), asked_(asked), policy_({}, names_, rules) {
    subject_.protocol = asked.protocol.value_or(Protocol::tcp);
    subject_.port = asked.ports.is_all() ? std::uint16_t{0} : asked.ports.first;
    subject_.name = asked_.name;
    if (asked.host == Match::Host::network) subject_.address = asked.network.address;
  }

  Explanation explain_question() {
    Explanation done;
    done.subject = asked_.to_string();
    done.verdict = policy_.permits_name(asked_.name) ? "allow" : "reject";
    done.because = done.verdict == "allow"
                       ? "some flow to this name may be allowed, or a rule allows the question"
                       : "no flow to this name is allowed: for the guest it does not exist";
    if (const Rule* fault = rules_.query_fault(asked_.name))
      done.conditions.push_back("with faults (" + said(*fault) + ")");
    list_passed_over(done, nullptr);
    return done;
  }

  Explanation explain_flow() {
    const FlowKey key{subject_.protocol, {}, {address(), subject_.port}};
    const Verdict verdict = policy_.judge(key);
    Explanation done;
    done.verdict = verdict_of(verdict);
    done.rule = verdict.rule;
    Match shown = asked_;
    shown.protocol = subject_.protocol;
    done.subject = shown.to_string();
    const Rule* rule = find(verdict.rule.str());
    done.because = words_for(verdict.rule.str(), rule);
    if (rule) done.where = rule->where;
    if (verdict.allowed) {
      done.target = verdict.target.to_string();
      add_conditions(done, verdict, rule);
    }
    list_passed_over(done, rule);
    return done;
  }

 private:
  IpAddress address() {
    if (subject_.address) return *subject_.address;
    return asked_.name == host_name ? NetworkOptions{}.gateway4 : names_.v4_for(asked_.name);
  }

  // Of rules with the same text the first decides.
  const Rule* find(const std::string& text) const {
    const auto& all = rules_.rules();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Rule& rule) { return rule.to_string() == text; });
    return found == all.end() ? nullptr : &*found;
  }

  std::string words_for(std::string_view text, const Rule* rule) const {
    if (rule) return "it is the first rule that matches";
    for (const auto& [known, words] : reasons)
      if (text == known) return std::string(words);
    return "no rule matches, and the default is " + std::string(to_string(rules_.default_action()));
  }

  void add_conditions(Explanation& done, const Verdict& verdict, const Rule* rule) const {
    if (auto words = condition_of(verdict.inspection, asked_.name); !words.empty())
      done.conditions.push_back(std::move(words));
    if (asked_.name == "localhost" || asked_.name.ends_with(".localhost"))
      done.conditions.push_back(
          "inside a sandbox localhost is the sandbox itself, whatever the rules; this machine's loopback is "
          "host.nsrun.internal");
    if (verdict.target.permits && !verdict.target.name.empty()) {
      done.conditions.push_back("each address it resolves to is judged as well; protected ones are refused");
      add_networks(done, rule);
    }
    const auto add = [&](const Rule* other, std::string words) {
      if (other) done.conditions.push_back(std::move(words) + " (" + said(*other) + ")");
    };
    add(rules_.via(subject_), "dialled another way");
    add(rules_.fault(subject_), "with faults");
    add(rules_.log(subject_), "said on standard error");
  }

  // A name's address may be decided by what stands before the rule about the name.
  void add_networks(Explanation& done, const Rule* rule) const {
    std::size_t listed = 0;
    for (const Rule& other : rules_.rules()) {
      if (&other == rule || listed == max_listed) break;
      if (!decides(other.action) || other.match.host != Match::Host::network) continue;
      if (other.action == Action::allow && RuleSet::demands_no_more({.rule = &other}, {.rule = rule}))
        continue;
      done.conditions.push_back("not where it resolves to an address of: " + said(other));
      ++listed;
    }
  }

  std::string why_not(const Rule& rule, const Rule* decided) const {
    if (rule.match.is_of_queries() != asked_.is_of_queries())
      return asked_.is_of_queries() ? "is about flows" : "is about questions";
    if (rule.match.protocol && *rule.match.protocol != subject_.protocol) return "is about another protocol";
    if (!rule.match.ports.contains(subject_.port)) return "is about another port";
    return decided ? "comes later" : "matches, and is not enough";
  }

  void list_passed_over(Explanation& done, const Rule* decided) const {
    for (const Rule& rule : rules_.rules()) {
      if (&rule == decided || !decides(rule.action) || !is_about(rule.match, subject_)) continue;
      if (done.passed_over.size() == max_listed) return;
      done.passed_over.push_back(said(rule) + " " + why_not(rule, decided));
    }
  }

  const RuleSet& rules_;
  const Match asked_;
  SyntheticNames names_;
  RulePolicy policy_;
  Subject subject_;
};

}  // namespace

Result<Explanation> explain(const std::shared_ptr<const RuleSet>& rules, std::string_view text) {
  const auto asked = Match::parse(text);
  if (!asked) return asked.error();
  const bool one_host =
      asked->host == Match::Host::name ||
      (asked->host == Match::Host::network && asked->network.length == asked->network.address.size() * 8);
  const bool one_port = asked->ports.first == asked->ports.last;
  const bool without_ports = asked->protocol == Protocol::icmp || asked->is_of_queries();
  if (!one_host || (!one_port && !without_ports))
    return Error{"'" + std::string(text) + "' is not one flow",
                 {},
                 "write it as tcp/HOST:PORT, udp/HOST:PORT, icmp/HOST or dns/NAME",
                 ExitCode::usage};
  Explainer explainer(rules, *asked);
  return asked->is_of_queries() ? explainer.explain_question() : explainer.explain_flow();
}

}  // namespace nsrun
