#include "host/text/yaml_list.h"

namespace nsrun {
namespace {

using YamlKind = YamlEvents::Kind;
using ReadEntry = std::function<Result<void>(const TextPlace&)>;

Result<void> read_entries(YamlEvents& events, const YamlList& list, const YamlEvents::Text& key,
                          const ReadEntry& read_entry) {
  const std::string entry = list.entry;
  auto event = events.next();
  if (!event) return event.error();
  if (event->kind != YamlKind::sequence)
    return events.wrong_key(key, "this is not a list", "write each " + entry + " as - name: NAME");
  for (bool any = false;; any = true) {
    event = events.next();
    if (!event) return event.error();
    if (event->kind == YamlKind::sequence_end)
      return any ? Result<void>() : events.wrong_key(key, "the list is empty", list.known_keys);
    if (event->kind != YamlKind::mapping)
      return events.wrong(event->place, key.text + ": this is not a valid " + entry, list.known_keys);
    if (auto done = read_entry(event->place); !done) return done;
  }
}

}  // namespace

Result<void> read_yaml_list(YamlEvents& events, const YamlList& list, const ReadEntry& read_entry) {
  auto first = events.next();
  if (!first) return first.error();
  if (first->kind == YamlKind::end || first->is_null())
    return events.wrong(first->place, "the file is empty", list.known_top);
  if (first->kind != YamlKind::mapping)
    return events.wrong(first->place, "this is not a mapping", list.known_top);
  bool found = false;
  for (;;) {
    auto key = events.next_key("the file", list.known_top);
    if (!key) return key.error();
    if (!*key) break;
    if ((*key)->text != list.key) return events.wrong_key(**key, "there is no such key", list.known_top);
    if (found) return events.wrong_key(**key, "is said twice", "leave one out");
    if (auto done = read_entries(events, list, **key, read_entry); !done) return done;
    found = true;
  }
  if (!found) return events.wrong({}, std::string("there is no ") + list.entry, list.known_top);
  if (auto last = events.next(); !last) return last.error();
  return {};
}

}  // namespace nsrun
