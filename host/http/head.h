#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsrun {

// The head of an HTTP/1.x message as its lines, of which some are changed; the others stay as they were
// written, but that a field which was folded over several lines is one line (RFC 9112 5.2). Pure.
class HttpHead {
 public:
  // A head that a MessageParser took, to the end of its empty line.
  explicit HttpHead(std::string_view text);

  std::string first_line;

  // Names in any case. Values are without the space around them.
  std::vector<std::string> values(std::string_view name) const;
  // Likewise, of a field whose value is a list (RFC 9110 5.6.1): each of its elements.
  std::vector<std::string> tokens(std::string_view name) const;
  bool has(std::string_view name) const;
  bool has_token(std::string_view name, std::string_view token) const;  // in any case
  void remove(std::string_view name);
  // One field of this name, where the first one was, or before all others.
  void set(std::string_view name, std::string_view value);
  // Another field, behind all others.
  void add(std::string_view name, std::string_view value);
  // Takes out what is of one hop only (RFC 9110 7.6.1). How the body is framed stays.
  void remove_hop_by_hop();
  std::string to_string() const;

 private:
  struct Field {
    std::string name;
    std::string line;  // with the name, without the CR LF
  };
  std::vector<Field> fields_;
};

}  // namespace nsrun
