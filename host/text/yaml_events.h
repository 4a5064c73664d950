#pragma once

#include <yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nsrun {

// A place in a text; both from 1.
struct TextPlace {
  std::size_t line = 1, column = 1;
};

// A text in YAML, read piece by piece. The subset that settings need: one document of mappings, sequences and
// scalars. Anchors, aliases and tags are errors, so what is read is never more than what was written.
class YamlEvents {
 public:
  enum class Kind : std::uint8_t { scalar, sequence, sequence_end, mapping, mapping_end, end };
  struct Event {
    Kind kind = Kind::end;
    std::string text = {};  // of a scalar
    bool is_plain = false;  // a scalar without quotes: empty, it is null
    TextPlace place;
    bool is_null() const { return kind == Kind::scalar && is_plain && (text.empty() || text == "~"); }
  };
  struct Text {
    std::string text;
    TextPlace place;
  };

  // `name`: how errors call the text; both outlive this.
  YamlEvents(std::string_view text, const std::string& name);
  ~YamlEvents() { yaml_parser_delete(&parser_); }
  YamlEvents(const YamlEvents&) = delete;

  // `end` once the document is over, or where there is none.
  Result<Event> next();

  // The next key of a mapping of `of`, or nothing where it ends; `known` is the advice.
  Result<std::optional<Text>> next_key(std::string_view of, const std::string& known);
  // What the key says; `expected` is the advice where it is no text.
  Result<Text> scalar(const Text& key, const std::string& expected);

  // "name:line:column: what", with ExitCode::usage. What cannot be shown in one line is left out.
  Error wrong(const TextPlace& place, std::string_view what, std::string advice = {}) const;
  Error wrong_key(const Text& key, std::string_view what, std::string advice) const {
    return wrong(key.place, key.text + ": " + std::string(what), std::move(advice));
  }

 private:
  Error syntax_error() const;
  Result<Event> understand(const yaml_event_t& event);

  std::string_view text_;
  const std::string& name_;
  yaml_parser_t parser_{};
  int documents_ = 0;
};

}  // namespace nsrun
