#include "host/policy/guest_hosts.h"

#include <algorithm>
#include <unordered_set>

#include "host/text/canonical_name.h"
#include "host/text/words.h"

// Programs read /etc/hosts themselves and then dial an address, for which no rule by name holds. A name is
// therefore removed when a rule by name is about it. These stay:
//
//   localhost, and names below it: they are the sandbox itself (RFC 6761 6.3)
//   names of loopback addresses: they are the sandbox itself, too, unless a rule opens exactly that name
//   names without enough dots, if rules permit them below a domain of the search list: the C library asks for
//   that longer name first, is given an address for it, and never asks for the name itself

namespace nsrun {
namespace {

class Names {
 public:
  Names(const RuleSet& rules, const ResolverConfig& resolver) : rules_(rules), resolver_(resolver) {
    for (const Rule& rule : rules.rules()) {
      if (!rule.match.is_by_name()) continue;
      index_.add(0, rule.match);
      if (rule.match.host == Match::Host::name && opens(rule.action)) opened_.insert(rule.match.name);
    }
  }

  // Of a line for `address`, which may be no address.
  bool removes(std::string_view word, const std::optional<IpAddress>& address) const {
    const auto name = canonical_name(word);
    if (!name || !address || is_localhost(*name) || address->is_unspecified()) return false;
    if (address->is_loopback() && !opened_.contains(*name)) return false;
    return !index_.about(*name).empty() && !is_hidden_by_search(*name, word.ends_with('.'));
  }

 private:
  bool is_hidden_by_search(const std::string& name, bool rooted) const {
    if (rooted || std::count(name.begin(), name.end(), '.') >= resolver_.ndots) return false;
    return std::any_of(resolver_.search.begin(), resolver_.search.end(), [&](const std::string& domain) {
      const auto longer = canonical_name(name + "." + domain);
      return longer && rules_.permits_name(*longer);
    });
  }

  const RuleSet& rules_;
  const ResolverConfig& resolver_;
  RuleIndex index_;                         // of rules by name
  std::unordered_set<std::string> opened_;  // names that rules open, not with all names below one
};

// The line without the names that are removed; empty when none is left.
std::string kept_line(std::string_view line, const Names& names) {
  auto words = line.substr(0, line.find('#'));
  const auto first = next_word(words);
  const auto address = IpAddress::parse(first);
  std::string kept(first);
  bool is_whole = true;
  for (auto word = next_word(words); !word.empty(); word = next_word(words)) {
    if (names.removes(word, address))
      is_whole = false;
    else
      kept.append("\t").append(word);
  }
  if (is_whole) return std::string(line);
  return kept.size() > first.size() ? kept : std::string{};
}

}  // namespace

std::optional<std::string> guest_hosts(std::string_view host_file, const RuleSet& rules,
                                       const ResolverConfig& resolver) {
  const Names names(rules, resolver);
  std::string text;
  bool changed = false;
  while (!host_file.empty()) {
    const auto line = host_file.substr(0, host_file.find('\n'));
    host_file.remove_prefix(std::min(line.size() + 1, host_file.size()));
    const auto kept = kept_line(line, names);
    changed = changed || kept != line;
    if (!kept.empty() || line.empty()) text += kept + "\n";
  }
  if (!changed) return std::nullopt;
  return text;
}

}  // namespace nsrun
