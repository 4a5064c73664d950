#include "host/text/yaml_events.h"

#include <algorithm>

namespace nsrun {
namespace {

TextPlace place_of(const yaml_mark_t& mark) { return {mark.line + 1, mark.column + 1}; }

TextPlace place_at(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  const auto last = before.rfind('\n');
  return {line + 1, before.size() - (last == before.npos ? 0 : last + 1) + 1};
}

// What YAML makes of the first character of a rule that should have been quoted.
std::string advice_on(char character) {
  if (character == '*') return "put names with a * in quotes: \"*.example.org\"";
  if (character == '[' || character == ']')
    return "put addresses in brackets in quotes: \"[2001:db8::1]:443\"";
  if (character == '\t') return "YAML is indented with spaces";
  return "texts that begin with *, [ or ' go in quotes";
}

std::string in_one_line(std::string_view text) {
  std::string line(text);
  std::erase_if(line, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  return line;
}

class EventOwner {
 public:
  ~EventOwner() { yaml_event_delete(&event); }
  yaml_event_t event{};
};

}  // namespace

YamlEvents::YamlEvents(std::string_view text, const std::string& name) : text_(text), name_(name) {
  if (!yaml_parser_initialize(&parser_)) throw std::bad_alloc();
  const char* const start = text.empty() ? "" : text.data();  // libyaml asserts that there is one
  yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(start), text.size());
}

Error YamlEvents::wrong(const TextPlace& place, std::string_view what, std::string advice) const {
  return {name_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": " +
              in_one_line(what),
          {},
          std::move(advice),
          ExitCode::usage};
}

Error YamlEvents::syntax_error() const {
  const std::string problem = parser_.problem ? parser_.problem : "it cannot be read";
  // Bytes that are no text have an offset instead of a line.
  if (parser_.error == YAML_READER_ERROR)
    return wrong(place_at(text_, parser_.problem_offset), "this is not YAML: " + problem,
                 "such files are UTF-8 text");
  const auto& mark =
      parser_.context && parser_.error == YAML_SCANNER_ERROR ? parser_.context_mark : parser_.problem_mark;
  const char here = mark.index < text_.size() ? text_[mark.index] : ' ';
  return wrong(place_of(parser_.problem_mark), "this is not YAML: " + problem, advice_on(here));
}

Result<std::optional<YamlEvents::Text>> YamlEvents::next_key(std::string_view of, const std::string& known) {
  auto event = next();
  if (!event) return event.error();
  if (event->kind == Kind::mapping_end) return std::optional<Text>();
  if (event->kind != Kind::scalar)
    return wrong(event->place, "a key of " + std::string(of) + " is a word", known);
  return std::optional(Text{std::move(event->text), event->place});
}

Result<YamlEvents::Text> YamlEvents::scalar(const Text& key, const std::string& expected) {
  auto event = next();
  if (!event) return event.error();
  if (event->kind != Kind::scalar || event->is_null())
    return wrong(event->place, key.text + ": a value is missing", expected);
  return Text{std::move(event->text), event->place};
}

Result<YamlEvents::Event> YamlEvents::next() {
  for (;;) {
    EventOwner owner;
    if (!yaml_parser_parse(&parser_, &owner.event)) return syntax_error();
    switch (owner.event.type) {
      case YAML_STREAM_START_EVENT:
      case YAML_DOCUMENT_END_EVENT:
        continue;
      case YAML_DOCUMENT_START_EVENT:
        if (documents_++)
          return wrong(place_of(owner.event.start_mark), "a second document begins", "a file has one");
        continue;
      default:
        return understand(owner.event);
    }
  }
}

Result<YamlEvents::Event> YamlEvents::understand(const yaml_event_t& event) {
  Event understood;
  understood.place = place_of(event.start_mark);
  const yaml_char_t *anchor = nullptr, *tag = nullptr;
  switch (event.type) {
    case YAML_SCALAR_EVENT: {
      const auto& scalar = event.data.scalar;
      understood.kind = Kind::scalar;
      understood.text.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
      understood.is_plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
      anchor = scalar.anchor, tag = scalar.tag;
      break;
    }
    case YAML_SEQUENCE_START_EVENT:
      understood.kind = Kind::sequence;
      anchor = event.data.sequence_start.anchor, tag = event.data.sequence_start.tag;
      break;
    case YAML_MAPPING_START_EVENT:
      understood.kind = Kind::mapping;
      anchor = event.data.mapping_start.anchor, tag = event.data.mapping_start.tag;
      break;
    case YAML_SEQUENCE_END_EVENT:
      understood.kind = Kind::sequence_end;
      break;
    case YAML_MAPPING_END_EVENT:
      understood.kind = Kind::mapping_end;
      break;
    case YAML_ALIAS_EVENT:
      return wrong(understood.place, "aliases (*name) are not used here", advice_on('*'));
    default:
      break;
  }
  if (anchor) return wrong(understood.place, "anchors (&name) are not used here");
  if (tag) return wrong(understood.place, "tags (!name) are not used here");
  return understood;
}

}  // namespace nsrun
