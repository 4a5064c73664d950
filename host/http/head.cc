#include "host/http/head.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <unordered_set>

#include "host/text/words.h"

namespace nsrun {
namespace {

using boost::beast::iequals;

constexpr std::array of_one_hop = {"Connection",         "Proxy-Connection",    "Keep-Alive", "Upgrade",
                                   "Proxy-Authenticate", "Proxy-Authorization", "TE",         "Trailer"};
// Whatever Connection says of them.
constexpr std::array framing_fields = {"Content-Length", "Transfer-Encoding", "Host"};

std::string field_line(std::string_view name, std::string_view value) {
  return std::string(name) + ": " + std::string(value);
}

}  // namespace

HttpHead::HttpHead(std::string_view text) {
  for (bool is_first = true; !text.empty(); is_first = false) {
    const auto line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    if (is_first)
      first_line = line;
    else if ((line.starts_with(' ') || line.starts_with('\t')) && !fields_.empty())
      fields_.back().line += " " + std::string(trimmed(line, " \t\r\n"));  // obs-fold
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

std::vector<std::string> HttpHead::tokens(std::string_view name) const {
  std::vector<std::string> found;
  const auto all = values(name);
  for (std::string_view rest : all)
    while (!rest.empty()) {
      const auto one = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      if (const auto token = trimmed(one); !token.empty()) found.emplace_back(token);
    }
  return found;
}

bool HttpHead::has_token(std::string_view name, std::string_view token) const {
  return std::ranges::any_of(tokens(name), [&](const std::string& one) { return iequals(one, token); });
}

// One pass over the fields, however many Connection names: a head may have 30,000 of its tokens.
void HttpHead::remove_hop_by_hop() {
  std::unordered_set<std::string> leaving;
  for (const auto& named : tokens("Connection")) leaving.insert(lowered(named));
  for (const auto* name : framing_fields) leaving.erase(lowered(name));
  for (const auto* name : of_one_hop) leaving.insert(lowered(name));
  std::erase_if(fields_, [&](const Field& field) { return leaving.contains(lowered(field.name)); });
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
