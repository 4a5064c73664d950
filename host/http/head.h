#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsrun {

// The head of an HTTP/1.x message as its lines, of which some are changed; the others stay as they were
// written. Pure.
class HttpHead {
 public:
  // A head that a MessageParser took, to the end of its empty line.
  explicit HttpHead(std::string_view text);

  std::string first_line;

  // Names in any case. Values are without the space around them.
  std::vector<std::string> values(std::string_view name) const;
  bool has(std::string_view name) const;
  void remove(std::string_view name);
  // One field of this name, where the first one was, or before all others.
  void set(std::string_view name, std::string_view value);
  // Another field, behind all others.
  void add(std::string_view name, std::string_view value);
  std::string to_string() const;

 private:
  struct Field {
    std::string name;
    std::string line;  // with the name; lines that continue it too, without the last CR LF
  };
  std::vector<Field> fields_;
};

}  // namespace nsrun
