#include "runtime/id_map.h"

#include <pwd.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace nsrun {
namespace {

std::optional<std::uint32_t> parse_id(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string line(std::uint64_t inside, std::uint64_t outside, std::uint64_t count) {
  return std::to_string(inside) + " " + std::to_string(outside) + " " + std::to_string(count) + "\n";
}

std::string account_name(uid_t uid) {
  passwd entry{}, *found = nullptr;
  std::vector<char> text(16384);
  ::getpwuid_r(uid, &entry, text.data(), text.size(), &found);
  return found ? found->pw_name : std::string();
}

Error no_ranges(const char* path, const std::string& account) {
  return {"there are no subordinate ids for " + account + " in " + path,
          {},
          "as root, usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + account,
          ExitCode::no_id_ranges};
}

}  // namespace

IdMaps single_id_map(bool root_inside) {
  return {map_lines(::geteuid(), root_inside, {}), map_lines(::getegid(), root_inside, {})};
}

Result<IdMaps> full_id_map(bool root_inside) {
  const uid_t uid = ::geteuid();
  const std::string name = account_name(uid);
  const auto uids = subordinate_ranges(read_text("/etc/subuid"), name, uid);
  const auto gids = subordinate_ranges(read_text("/etc/subgid"), name, uid);
  if (uid == 0 && (uids.empty() || gids.empty()))
    return IdMaps{identity_lines(read_text("/proc/self/uid_map")),
                  identity_lines(read_text("/proc/self/gid_map"))};
  const std::string account = name.empty() ? std::to_string(uid) : name;
  if (uids.empty()) return no_ranges("/etc/subuid", account);
  if (gids.empty()) return no_ranges("/etc/subgid", account);
  return IdMaps{map_lines(uid, root_inside, uids), map_lines(::getegid(), root_inside, gids), uid != 0};
}

std::vector<IdRange> subordinate_ranges(std::string_view file, std::string_view name, uid_t uid) {
  std::vector<IdRange> ranges;
  const std::string number = std::to_string(uid);
  while (!file.empty()) {
    const auto text = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(text.size() + 1, file.size()));
    const auto colon = text.find(':'), second = text.find(':', colon + 1);
    if (colon == text.npos || second == text.npos) continue;
    const auto who = text.substr(0, colon);
    if (who.empty() || (who != name && who != number)) continue;
    const auto first = parse_id(text.substr(colon + 1, second - colon - 1));
    const auto count = parse_id(text.substr(second + 1));
    if (first && count && *count > 0) ranges.push_back({*first, *count});
  }
  return ranges;
}

std::string map_lines(std::uint32_t own, bool root_inside, const std::vector<IdRange>& ranges) {
  const std::uint64_t own_inside = root_inside ? 0 : own;
  std::string lines = line(own_inside, own, 1);
  std::uint64_t inside = 0;
  for (const auto& range : ranges) {
    std::uint64_t outside = range.first, left = range.count;
    while (left > 0) {
      if (inside == own_inside) ++inside;
      const auto room = inside < own_inside ? std::min(left, own_inside - inside) : left;
      lines += line(inside, outside, room);
      inside += room, outside += room, left -= room;
    }
  }
  return lines;
}

std::string identity_lines(std::string_view current) {
  std::istringstream text{std::string(current)};
  std::string lines;
  for (std::uint64_t inside, outside, count; text >> inside >> outside >> count;)
    lines += line(inside, inside, count);
  return lines;
}

bool is_single(std::string_view lines) {
  std::istringstream text{std::string(lines)};
  std::uint64_t inside, outside, count, more;
  return text >> inside >> outside >> count && count == 1 && !(text >> more);
}

}  // namespace nsrun
