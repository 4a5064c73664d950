#include "host/http/head.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>

namespace nsrun {
namespace {

using boost::beast::iequals;

std::string field_line(std::string_view name, std::string_view value) {
  return std::string(name) + ": " + std::string(value);
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

}  // namespace

HttpHead::HttpHead(std::string_view text) {
  for (bool is_first = true; !text.empty(); is_first = false) {
    const auto line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    if (is_first)
      first_line = line;
    else if ((line.starts_with(' ') || line.starts_with('\t')) && !fields_.empty())
      fields_.back().line += "\r\n" + std::string(line);  // obs-fold (RFC 9112 5.2)
    else if (!line.empty())
      fields_.push_back({std::string(line.substr(0, line.find(':'))), std::string(line)});
  }
}

std::vector<std::string> HttpHead::values(std::string_view name) const {
  std::vector<std::string> found;
  for (const auto& field : fields_)
    if (iequals(field.name, name)) {
      const auto colon = std::min(field.name.size() + 1, field.line.size());
      found.emplace_back(trimmed(std::string_view(field.line).substr(colon)));
    }
  return found;
}

bool HttpHead::has(std::string_view name) const {
  return std::ranges::any_of(fields_, [&](const Field& field) { return iequals(field.name, name); });
}

void HttpHead::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& field) { return iequals(field.name, name); });
}

void HttpHead::set(std::string_view name, std::string_view value) {
  const auto is_it = [&](const Field& field) { return iequals(field.name, name); };
  const auto place = std::ranges::find_if(fields_, is_it) - fields_.begin();
  const bool is_new = place == static_cast<std::ptrdiff_t>(fields_.size());
  remove(name);
  fields_.insert(fields_.begin() + (is_new ? 0 : place), {std::string(name), field_line(name, value)});
}

void HttpHead::add(std::string_view name, std::string_view value) {
  fields_.push_back({std::string(name), field_line(name, value)});
}

std::string HttpHead::to_string() const {
  std::string text = first_line + "\r\n";
  for (const auto& field : fields_) text += field.line + "\r\n";
  return text + "\r\n";
}

}  // namespace nsrun
