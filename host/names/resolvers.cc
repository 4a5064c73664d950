#include "host/names/resolvers.h"

#include <net/if.h>

#include <algorithm>
#include <charconv>

#include "host/text/canonical_name.h"
#include "host/text/words.h"

namespace nsrun {
namespace {

constexpr std::uint16_t dns_port = 53;
constexpr std::size_t max_servers = 3;   // resolv.h: MAXNS
constexpr int max_timeout = 30;          // seconds; resolv.h: RES_MAXRETRANS
constexpr int max_attempts = 5;          // resolv.h: RES_MAXRETRY
constexpr int max_ndots = 15;            // resolv.h: RES_MAXNDOTS
constexpr std::size_t max_search = 32;   // domains; the C library has no limit
constexpr std::size_t max_file = 65536;  // bytes read; what follows is ignored

// The next word of `line`, taken off it; empty at the end or at a comment.
std::string_view next_setting(std::string_view& line) { return next_word(line, " \t\r#;"); }

// "timeout:3" gives 3 for "timeout:", at least `floor` (the C library rounds up) and at most `cap`.
std::optional<int> option_value(std::string_view option, std::string_view key, int floor, int cap) {
  if (!option.starts_with(key)) return std::nullopt;
  option.remove_prefix(key.size());
  int value = 0;
  const auto [end, error] = std::from_chars(option.data(), option.data() + option.size(), value);
  if (end != option.data() + option.size() || option.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return option.starts_with('-') ? floor : cap;
  return std::clamp(value, floor, cap);
}

void add_server(ResolverConfig& config, std::string_view word) {
  const auto percent = word.find('%');
  const auto address = IpAddress::parse(word.substr(0, percent));
  const auto zone = percent == word.npos ? std::string_view() : word.substr(percent + 1);
  if (!address || config.servers.size() >= max_servers) return;
  // Link-local addresses are those of an interface, and only they are. The servers beside one that is not
  // written so are used.
  const bool needs_zone = address->is_v6() && address->is_link_local();
  if (needs_zone != (percent != word.npos) || zone.size() >= IFNAMSIZ) return;
  if (needs_zone && zone.empty()) return;
  config.servers.push_back({{*address, dns_port}, std::string(zone)});
}

void add_option(ResolverConfig& config, std::string_view word) {
  if (const auto timeout = option_value(word, "timeout:", 1, max_timeout))
    config.timeout = std::chrono::seconds(*timeout);
  if (const auto attempts = option_value(word, "attempts:", 1, max_attempts)) config.attempts = *attempts;
  if (const auto ndots = option_value(word, "ndots:", 0, max_ndots)) config.ndots = *ndots;
}

// A domain that is no host name, or the root, is not tried.
void set_search(ResolverConfig& config, std::string_view line, std::size_t most) {
  config.search.clear();
  for (auto word = next_setting(line); !word.empty() && config.search.size() < most;
       word = next_setting(line))
    if (auto domain = canonical_name(word)) config.search.push_back(std::move(*domain));
}

void read_line(ResolverConfig& config, std::string_view line) {
  // The keyword starts the line, resolv.conf(5).
  if (line.empty() || blanks.find(line.front()) != blanks.npos) return;
  const auto keyword = next_setting(line);
  if (keyword == "nameserver") add_server(config, next_setting(line));
  if (keyword == "search") set_search(config, line, max_search);
  if (keyword == "domain") set_search(config, line, 1);
  if (keyword != "options") return;
  for (auto word = next_setting(line); !word.empty(); word = next_setting(line)) add_option(config, word);
}

}  // namespace

ResolverConfig parse_resolv_conf(std::string_view text) {
  ResolverConfig config;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    read_line(config, line);
  }
  if (config.servers.empty()) config.servers.push_back(Endpoint{IpAddress::v4(127, 0, 0, 1), dns_port});
  return config;
}

Resolvers::Resolvers(std::string path) {
  if (!path.empty()) file_.emplace(std::move(path), max_file);
}

const ResolverConfig& Resolvers::current() {
  if (!file_) return config_;
  if (const auto text = file_->changed()) config_ = parse_resolv_conf(*text);
  return config_;
}

}  // namespace nsrun
