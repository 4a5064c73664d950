#include "host/policy/policy_file.h"

#include <algorithm>
#include <array>
#include <span>

#include "host/policy/fault_rule.h"
#include "host/policy/make_rule.h"
#include "host/text/read_settings.h"
#include "host/text/yaml_events.h"

// Theory of operation
//
// A policy may have a hundred thousand rules and is to be loaded within a second, so no tree of it is made:
// it is read event by event, and each entry of `rules` becomes its rules as soon as its mapping ends. Which
// of its keys comes first makes no difference.

namespace nsrun {
namespace {

using YamlKind = YamlEvents::Kind;
using Event = YamlEvents::Event;

using Text = YamlEvents::Text;

// One key of an entry of `rules`, and what it says.
struct Field {
  Text key;
  std::vector<Text> values = {};
  bool is_list = false;
};

constexpr std::array actions = {Action::allow,    Action::deny, Action::reject, Action::ask,
                                Action::redirect, Action::via,  Action::fault,  Action::log};

std::optional<Action> action_of(std::string_view key) {
  for (const Action action : actions)
    if (key == to_string(action)) return action;
  return std::nullopt;
}

// The key that says the rest of what an action needs; null: it needs nothing more.
const char* companion_of(Action action) {
  if (action == Action::redirect) return "to";
  return action == Action::via || action == Action::fault ? "match" : nullptr;
}

class PolicyReader {
 public:
  PolicyReader(std::string_view text, const std::string& name) : events_(text, name), name_(name) {}

  Result<PolicyFile> read() {
    auto first = events_.next();
    if (!first) return first.error();
    if (first->kind == YamlKind::end || first->is_null()) return std::move(file_);
    if (first->kind != YamlKind::mapping)
      return events_.wrong(first->place, "a policy is a mapping", "its keys are version, default and rules");
    if (auto done = read_top(); !done) return done.error();
    if (auto last = events_.next(); !last) return last.error();
    return std::move(file_);
  }

 private:
  Error wrong_key(const Text& key, std::string_view what, std::string advice) {
    return events_.wrong_key(key, what, std::move(advice));
  }

  Result<void> read_top() {
    const std::string known = "the keys of a policy are version, default and rules";
    std::vector<std::string> seen;
    for (;;) {
      auto key = events_.next_key("a policy", known);
      if (!key) return key.error();
      if (!*key) return {};
      if (std::find(seen.begin(), seen.end(), (*key)->text) != seen.end())
        return wrong_key(**key, "is said twice", "leave one out");
      seen.push_back((*key)->text);
      if (auto done = read_top_value(**key, known); !done) return done;
    }
  }

  Result<void> read_top_value(const Text& key, const std::string& known) {
    if (key.text == "rules") return read_rules(key);
    if (key.text == "version") {
      const auto version = events_.scalar(key, "it is 1");
      if (!version) return version.error();
      if (version->text != "1")
        return events_.wrong(version->place, "version: '" + version->text + "' is unknown", "it is 1");
      return {};
    }
    if (key.text != "default") return wrong_key(key, "there is no such key", known);
    const auto text = events_.scalar(key, "it is allow, deny, reject or ask");
    if (!text) return text.error();
    const auto action = parse_default(text->text);
    if (!action) return events_.wrong(text->place, "default: " + action.error().doing, action.error().advice);
    file_.otherwise = *action;
    return {};
  }

  Result<void> read_rules(const Text& key) {
    auto event = events_.next();
    if (!event) return event.error();
    if (event->is_null()) return {};
    if (event->kind != YamlKind::sequence)
      return events_.wrong(event->place, key.text + ": this is not a list",
                           "write each rule as - allow: HOST");
    for (;;) {
      event = events_.next();
      if (!event) return event.error();
      if (event->kind == YamlKind::sequence_end) return {};
      if (event->kind != YamlKind::mapping)
        return events_.wrong(event->place, "rules: this is not a rule", "write each rule as - allow: HOST");
      if (auto done = read_rule(event->place); !done) return done;
    }
  }

  Result<void> read_rule(const TextPlace& place) {
    std::vector<Field> fields;
    for (;;) {
      auto key = events_.next_key("a rule",
                                  "it is an action: allow, deny, reject, ask, redirect, via, fault or log");
      if (!key) return key.error();
      if (!*key) return make_rules(place, fields);
      for (const Field& field : fields)
        if (field.key.text == (*key)->text)
          return wrong_key(**key, "is said twice", "begin a new rule with -");
      if (!action_of((*key)->text) && (*key)->text != "to" && (*key)->text != "match")
        return wrong_key(
            **key, "there is no such key",
            "a rule has allow, deny, reject, ask, redirect (with to), via or fault (with match) or log");
      auto field = read_field(std::move(**key));
      if (!field) return field.error();
      fields.push_back(std::move(*field));
    }
  }

  Result<Field> read_field(Text key) {
    auto event = events_.next();
    if (!event) return event.error();
    Field field{.key = std::move(key)};
    if (event->kind == YamlKind::sequence) {
      field.is_list = true;
      for (;;) {
        event = events_.next();
        if (!event) return event.error();
        if (event->kind == YamlKind::sequence_end) return field;
        if (event->kind != YamlKind::scalar || event->is_null()) return no_text(field, *event);
        field.values.push_back({std::move(event->text), event->place});
      }
    }
    if (event->kind != YamlKind::scalar || event->is_null()) return no_text(field, *event);
    field.values.push_back({std::move(event->text), event->place});
    return field;
  }

  Error no_text(const Field& field, const Event& event) {
    return events_.wrong(event.place, field.key.text + ": this is not a text",
                         "write HOST, HOST:PORT or a list of them; in quotes where it begins with * or [");
  }

  // The action, and what it is about. `fields` are each of another key.
  Result<void> make_rules(const TextPlace& place, std::vector<Field>& fields) {
    const Field *main = nullptr, *companion = nullptr;
    for (const Field& field : fields) {
      if (!action_of(field.key.text)) continue;
      if (main)
        return wrong_key(field.key, "a rule has one action, and this has " + main->key.text + " already",
                         "begin a new rule with -");
      main = &field;
    }
    if (!main)
      return events_.wrong(place, "this rule has no action",
                           "it is allow, deny, reject, ask, redirect, via, fault or log");
    const Action action = *action_of(main->key.text);
    const char* wanted = companion_of(action);
    for (const Field& field : fields) {
      if (&field == main) continue;
      if (!wanted || field.key.text != wanted)
        return wrong_key(field.key, "does not go with " + main->key.text,
                         wanted ? "its other key is " + std::string(wanted) : "begin a new rule with -");
      companion = &field;
    }
    if (action == Action::fault) return add_fault(*main, companion);
    if (wanted && !companion)
      return wrong_key(main->key, "the rule has no " + std::string(wanted),
                       action == Action::via ? "match says which flows" : "to says where they go instead");
    return action == Action::via ? add(action, *companion, main) : add(action, *main, companion);
  }

  // A rule for each of `matches`; `other`: where to, or which dialer.
  Result<void> add(Action action, const Field& matches, const Field* other) {
    if (other && (other->is_list || other->values.size() != 1))
      return wrong_key(other->key, "is a list", "it is one text");
    for (const Text& match : matches.values) {
      auto rule = action == Action::redirect ? make_redirect(match.text, other->values[0].text)
                  : action == Action::via    ? make_via(other->values[0].text, match.text)
                                             : make_rule(action, match.text);
      if (!rule) return wrong_rule(match, matches, other, rule.error());
      rule->where = name_ + ":" + std::to_string(match.place.line);
      file_.rules.push_back(std::move(*rule));
    }
    return {};
  }

  // One without `matches` is of packets.
  Result<void> add_fault(const Field& faults, const Field* matches) {
    static const Text none;
    if (faults.values.size() != 1 || faults.is_list)
      return wrong_key(faults.key, "is a list", "it is one text");
    const auto at_once = matches ? std::span(matches->values) : std::span(&none, 1);
    for (const Text& match : at_once) {
      auto rule = parse_fault_rule(faults.values[0].text, match.text);
      if (!rule && matches) return wrong_rule(match, *matches, &faults, rule.error());
      if (!rule) return wrong_key(faults.key, rule.error().doing, rule.error().advice);
      rule->where = name_ + ":" + std::to_string((matches ? match : faults.key).place.line);
      file_.rules.push_back(std::move(*rule));
    }
    return {};
  }

  // Of two texts that make a rule, which is wrong is known by trying the match alone.
  Error wrong_rule(const Text& match, const Field& matches, const Field* other, const Error& error) {
    const bool match_is_right = other && make_rule(Action::allow, match.text);
    const Field& field = match_is_right ? *other : matches;
    const Text& text = match_is_right ? other->values[0] : match;
    return events_.wrong(text.place, field.key.text + ": " + error.doing, error.advice);
  }

  YamlEvents events_;
  const std::string& name_;
  PolicyFile file_;
};

}  // namespace

Result<PolicyFile> parse_policy(std::string_view text, const std::string& name) {
  return PolicyReader(text, name).read();
}

Result<PolicyFile> read_policy(const std::string& path) {
  const auto text = read_settings("the policy", path, max_policy);
  if (!text) return text.error();
  return parse_policy(*text, path);
}

Result<PolicyFile> read_policy(const std::string& path, UniqueFd file) {
  const auto text = read_settings("the policy", path, max_policy, std::move(file));
  if (!text) return text.error();
  return parse_policy(*text, path);
}

}  // namespace nsrun
