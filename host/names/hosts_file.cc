#include "host/names/hosts_file.h"

#include <algorithm>

#include "host/text/words.h"

namespace nsrun {
namespace {

bool ends_word(std::string_view text, std::size_t at) {
  return at >= text.size() || text[at] == '\n' || text[at] == '#' || blanks.find(text[at]) != blanks.npos;
}

// The address of the line in which a name stands at `at`; nothing when that is within the address, or a
// comment.
std::optional<IpAddress> address_of_line(std::string_view text, std::size_t at) {
  const auto before = text.rfind('\n', at);
  auto line = text.substr(before == text.npos ? 0 : before + 1);
  line = line.substr(0, at - static_cast<std::size_t>(line.data() - text.data()));
  if (line.find('#') != line.npos) return std::nullopt;
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  return IpAddress::parse(line.substr(0, line.find_first_of(blanks)));
}

}  // namespace

// Searched rather than indexed: the file is small, or (a list of names to block) large and seldom asked.
std::vector<IpAddress> addresses_in_hosts(std::string_view text, std::string_view name) {
  std::vector<IpAddress> addresses;
  if (name.empty()) return addresses;
  for (auto at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    if (at == 0 || blanks.find(text[at - 1]) == blanks.npos) continue;
    const auto end = at + name.size();
    const bool rooted = end < text.size() && text[end] == '.';
    if (!ends_word(text, rooted ? end + 1 : end)) continue;
    const auto address = address_of_line(text, at);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end())
      addresses.push_back(*address);
  }
  return addresses;
}

std::vector<IpAddress> HostsFile::addresses_of(std::string_view name) {
  if (auto text = file_.changed()) {
    text_ = std::move(*text);
    std::transform(text_.begin(), text_.end(), text_.begin(), to_lower);
  }
  return addresses_in_hosts(text_, name);
}

}  // namespace nsrun
