#include "host/services/wake/wake_config.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "host/text/read_settings.h"
#include "host/text/url_text.h"
#include "host/text/yaml_list.h"

namespace nsrun {
namespace {

using YamlKind = YamlEvents::Kind;
using Text = YamlEvents::Text;

constexpr auto known_group_top = "its one key is groups, a list";
constexpr auto known_group_keys =
    "a group has name, listen, one of exec, systemd, docker and sandbox, and perhaps user, idle, idle-by, "
    "threshold, wake-threshold, probe, start-timeout, stop-timeout, health and sleep";

// A group that is being read.
struct Draft {
  WakeSpec spec;
  std::optional<std::string> what_starts;  // the key that said it
};

using Take = Result<void> (*)(Draft& draft, const std::string& text);

Error wrong_group(const std::string& what, std::string advice) {
  return {what, {}, std::move(advice), ExitCode::usage};
}

Result<void> take_start(Draft& draft, const char* key, std::string& into, const std::string& text) {
  if (draft.what_starts)
    return wrong_group("there is " + *draft.what_starts + " already", "give one of them");
  if (text.empty()) return wrong_group("it is empty", known_group_keys);
  draft.what_starts = key;
  into = text;
  return {};
}

Result<void> take_word(bool& into, const std::string& text, const char* yes, const char* no) {
  if (text != yes && text != no)
    return wrong_group("'" + text + "' is neither", "write " + std::string(yes) + " or " + no);
  into = text == yes;
  return {};
}

Result<void> take_time(Clock::duration& into, const std::string& text) {
  const auto time = parse_wake_time("the time", text);
  if (!time) return time.error();
  into = *time;
  return {};
}

Result<void> take_name(Draft& draft, const std::string& text) {
  if (text.empty() || has_control_character(text))
    return wrong_group("it is empty, or has a control character", "give the group a name");
  draft.spec.options.name = text;
  return {};
}

Result<void> take_group(Draft& draft, const std::string& text) {
  std::string group;
  if (auto taken = take_start(draft, "docker", group, text); !taken) return taken;
  if (has_control_character(group)) return wrong_group("it has a control character", "name a group");
  draft.spec.labels = labels_of_group(group);
  return {};
}

Result<void> add_listen(Draft& draft, const std::string& text) {
  auto forward = Forward::parse(text);
  if (!forward) return forward.error();
  draft.spec.forwards.push_back(std::move(*forward));
  return {};
}

Result<void> add_word(Draft& draft, const std::string& text) {
  draft.spec.sandbox.push_back(text);
  return {};
}

struct Key {
  std::string_view name;
  Take take;
};

constexpr std::array group_keys = {
    Key{"name", take_name},
    Key{"exec", [](Draft& d, const std::string& t) { return take_start(d, "exec", d.spec.exec, t); }},
    Key{"systemd",
        [](Draft& d, const std::string& t) { return take_start(d, "systemd", d.spec.systemd, t); }},
    Key{"docker", take_group},
    Key{"user",
        [](Draft& d, const std::string& t) { return take_word(d.spec.systemd_user, t, "yes", "no"); }},
    Key{"idle", [](Draft& d, const std::string& t) { return take_time(d.spec.options.idle, t); }},
    Key{"idle-by", [](Draft& d, const std::string& t) { return take_idle_by(t, d.spec.options); }},
    Key{"threshold", [](Draft& d, const std::string& t) { return take_threshold(t, d.spec.options); }},
    Key{"wake-threshold",
        [](Draft& d, const std::string& t) { return take_wake_threshold(t, d.spec.options); }},
    Key{"probe",
        [](Draft& d, const std::string& t) {
          d.spec.probe = t;
          return Result<void>();
        }},
    Key{"start-timeout",
        [](Draft& d, const std::string& t) { return take_time(d.spec.options.start_limit, t); }},
    Key{"stop-timeout", [](Draft& d, const std::string& t) { return take_time(d.spec.stop_limit, t); }},
    Key{"health",
        [](Draft& d, const std::string& t) { return take_word(d.spec.uses_health, t, "yes", "no"); }},
    Key{"sleep", [](Draft& d, const std::string& t) { return take_word(d.spec.pauses, t, "pause", "stop"); }},
};

class WakeConfigReader {
 public:
  WakeConfigReader(std::string_view text, const std::string& name, const std::string& docker)
      : events_(text, name), docker_(docker) {}

  Result<std::vector<WakeSpec>> read() {
    const auto read_one = [this](const TextPlace& place) { return read_group(place); };
    if (auto done = read_yaml_list(events_, {"groups", "group", known_group_top, known_group_keys}, read_one);
        !done)
      return done.error();
    return std::move(groups_);
  }

 private:
  Result<void> read_group(const TextPlace& place) {
    Draft draft;
    draft.spec.docker = docker_;
    std::set<std::string> said;
    for (;;) {
      auto key = events_.next_key("a group", known_group_keys);
      if (!key) return key.error();
      if (!*key) break;
      if (!said.insert((*key)->text).second)
        return events_.wrong_key(**key, "is said twice", "begin a new group with -");
      if (auto done = read_one(draft, **key); !done) return done;
    }
    return add(std::move(draft), place);
  }

  Result<void> read_one(Draft& draft, const Text& key) {
    if (key.text == "listen")
      return read_texts(draft, key, "write one LISTEN=DIAL, or a list of them", add_listen);
    if (key.text != "sandbox") return read_value(draft, key);
    std::string words;
    if (auto taken = take_start(draft, "sandbox", words, "its words"); !taken)
      return events_.wrong_key(key, taken.error().doing, taken.error().advice);
    return read_texts(draft, key, "write nsrun's words as a list: [--allow, example.org, --, ./server]",
                      add_word);
  }

  Result<void> read_value(Draft& draft, const Text& key) {
    const auto known = std::ranges::find(group_keys, std::string_view(key.text), &Key::name);
    if (known == group_keys.end()) return events_.wrong_key(key, "there is no such key", known_group_keys);
    auto text = events_.scalar(key, "it is a text or a number");
    if (!text) return text.error();
    if (auto taken = known->take(draft, text->text); !taken)
      return events_.wrong(text->place, key.text + ": " + taken.error().doing, taken.error().advice);
    return {};
  }

  // One text, or a list of them.
  Result<void> read_texts(Draft& draft, const Text& key, const char* advice, Take take) {
    auto event = events_.next();
    if (!event) return event.error();
    if (event->kind == YamlKind::scalar) return take_text(draft, key, *event, take);
    if (event->kind != YamlKind::sequence) return events_.wrong_key(key, "this is not a text", advice);
    for (;;) {
      event = events_.next();
      if (!event) return event.error();
      if (event->kind == YamlKind::sequence_end) return {};
      if (event->kind != YamlKind::scalar) return events_.wrong_key(key, "this is not a text", advice);
      if (auto done = take_text(draft, key, *event, take); !done) return done;
    }
  }

  Result<void> take_text(Draft& draft, const Text& key, const YamlEvents::Event& event, Take take) {
    auto taken = take(draft, event.text);
    if (taken) return taken;
    return events_.wrong(event.place, key.text + ": " + taken.error().doing, taken.error().advice);
  }

  Result<void> add(Draft draft, const TextPlace& place) {
    const auto& name = draft.spec.options.name;
    if (name.empty()) return events_.wrong(place, "this group has no name", known_group_keys);
    if (draft.spec.forwards.empty()) return events_.wrong(place, name + " has no listen", known_group_keys);
    if (draft.what_starts == "sandbox" && draft.spec.sandbox.empty())
      return events_.wrong(place, name + " has a sandbox without a command", "write its words as a list");
    if (!draft.what_starts) return events_.wrong(place, name + " has nothing to start", known_group_keys);
    if (!names_.insert(name).second)
      return events_.wrong(place, "there is a group '" + name + "' already", "each has a name of its own");
    groups_.push_back(std::move(draft.spec));
    return {};
  }

  YamlEvents events_;
  const std::string& docker_;
  std::set<std::string> names_;
  std::vector<WakeSpec> groups_;
};

}  // namespace

Result<std::vector<WakeSpec>> parse_wake_config(std::string_view text, const std::string& name,
                                                const std::string& docker) {
  return WakeConfigReader(text, name, docker).read();
}

Result<std::vector<WakeSpec>> read_wake_config(const std::string& path, const std::string& docker) {
  const auto text = read_settings("the configuration", path, max_wake_config);
  if (!text) return text.error();
  return parse_wake_config(*text, path, docker);
}

}  // namespace nsrun
