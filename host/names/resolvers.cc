#include "host/names/resolvers.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace nsrun {
namespace {

constexpr std::uint16_t dns_port = 53;
constexpr std::size_t max_servers = 3;   // resolv.h: MAXNS
constexpr int max_timeout = 30;          // seconds; resolv.h: RES_MAXRETRANS
constexpr int max_attempts = 5;          // resolv.h: RES_MAXRETRY
constexpr std::size_t max_file = 65536;  // bytes read; what follows is ignored
constexpr std::string_view blanks = " \t\r";

// The next word of `line`, taken off it; empty at the end or at a comment.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const auto word = line.substr(0, line.find_first_of(" \t\r#;"));
  line.remove_prefix(word.size());
  return word;
}

// "timeout:3" gives 3 for "timeout:", at least 1 (as the C library rounds up) and at most `cap`.
std::optional<int> option_value(std::string_view option, std::string_view key, int cap) {
  if (!option.starts_with(key)) return std::nullopt;
  option.remove_prefix(key.size());
  int value = 0;
  const auto [end, error] = std::from_chars(option.data(), option.data() + option.size(), value);
  if (end != option.data() + option.size() || option.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return option.starts_with('-') ? 1 : cap;
  return std::clamp(value, 1, cap);
}

void add_server(ResolverConfig& config, std::string_view word) {
  const auto address = IpAddress::parse(word);
  // A scoped address (fe80::1%eth0) does not parse, and a link-local one without its scope cannot be dialled:
  // an address here has no scope. The servers beside it are used.
  if (!address || (address->is_v6() && address->is_link_local())) return;
  if (config.servers.size() < max_servers) config.servers.push_back({*address, dns_port});
}

void add_option(ResolverConfig& config, std::string_view word) {
  if (const auto timeout = option_value(word, "timeout:", max_timeout))
    config.timeout = std::chrono::seconds(*timeout);
  if (const auto attempts = option_value(word, "attempts:", max_attempts)) config.attempts = *attempts;
}

void read_line(ResolverConfig& config, std::string_view line) {
  // The keyword starts the line, resolv.conf(5).
  if (line.empty() || blanks.find(line.front()) != blanks.npos) return;
  const auto keyword = next_word(line);
  if (keyword == "nameserver") add_server(config, next_word(line));
  if (keyword != "options") return;
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) add_option(config, word);
}

}  // namespace

ResolverConfig parse_resolv_conf(std::string_view text) {
  ResolverConfig config;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    read_line(config, line);
  }
  if (config.servers.empty()) config.servers.push_back({IpAddress::v4(127, 0, 0, 1), dns_port});
  return config;
}

std::optional<Resolvers::Version> Resolvers::version() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return std::nullopt;
  return Version{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

const ResolverConfig& Resolvers::current() {
  if (path_.empty()) return config_;
  // Taken before the read: a change that comes between the two is seen at the next call.
  const auto now = version();
  if (!now || now == read_) return config_;
  std::ifstream file(path_);
  std::string text(max_file, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return config_;
  text.resize(static_cast<std::size_t>(file.gcount()));
  config_ = parse_resolv_conf(text);
  read_ = now;
  return config_;
}

}  // namespace nsrun
