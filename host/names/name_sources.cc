#include "host/names/name_sources.h"

#include <algorithm>
#include <optional>

#include "host/text/words.h"

namespace nsrun {
namespace {

void skip_actions(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  if (!line.starts_with('[')) return;
  line.remove_prefix(std::min(line.find(']'), line.size() - 1) + 1);
}

std::optional<NameSource> source_named(std::string_view word) {
  if (word == "files") return NameSource::hosts_file;
  if (word == "dns" || word == "resolve") return NameSource::dns;
  return std::nullopt;
}

std::vector<NameSource> sources_of(std::string_view line) {
  std::vector<NameSource> sources;
  while (true) {
    skip_actions(line);
    const auto word = next_word(line, " \t\r[");
    if (word.empty() && line.empty()) return sources;
    const auto source = source_named(word);
    if (source && std::find(sources.begin(), sources.end(), *source) == sources.end())
      sources.push_back(*source);
  }
}

}  // namespace

std::vector<NameSource> parse_nsswitch(std::string_view text) {
  std::vector<NameSource> sources;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    if (!line.starts_with("hosts:")) continue;
    line.remove_prefix(std::string_view("hosts:").size());
    sources = sources_of(line);
  }
  if (sources.empty()) sources = {NameSource::hosts_file, NameSource::dns};
  return sources;
}

}  // namespace nsrun
