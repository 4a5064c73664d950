#include "container/files/ssh_config.h"

#include <fcntl.h>
#include <glob.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "container/closed/proc_text.h"

namespace nsrun {
namespace {

constexpr std::size_t max_files = 256;       // that one configuration includes
constexpr int max_include_depth = 16;        // READCONF_MAX_DEPTH of ssh
constexpr std::size_t max_own_copy = 65536;  // bytes; a larger file keeps its owner
constexpr auto blanks = " \t\r=";

// Takes the first word off a line of ssh_config(5); empty at its end, or at a comment.
std::string take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(blanks)));
  if (line.empty() || line[0] == '#') return "";
  const bool quoted = line[0] == '"';
  if (quoted) line.remove_prefix(1);
  const auto end = std::min(line.size(), quoted ? line.find('"') : line.find_first_of(blanks));
  std::string word(line.substr(0, end));
  line.remove_prefix(std::min(line.size(), end + 1));
  return word;
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

void add_included(const std::string& config, const std::string& directory, int depth,
                  std::vector<std::string>& into) {
  struct stat status {};
  if (depth > max_include_depth || ::stat(config.c_str(), &status) < 0 || !S_ISREG(status.st_mode)) return;
  for (const auto& pattern : ssh_includes(proc_text(AT_FDCWD, config), directory))
    for (auto& file : matches(pattern)) {
      if (into.size() >= max_files || std::find(into.begin(), into.end(), file) != into.end()) continue;
      into.push_back(file);
      add_included(file, directory, depth + 1, into);
    }
}

// As ssh judges it, root's files are good unless others may write them.
bool is_good_as_roots(const std::string& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == 0 &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
         static_cast<std::size_t>(status.st_size) <= max_own_copy && ::access(file.c_str(), R_OK) == 0;
}

}  // namespace

std::vector<std::string> ssh_includes(std::string_view text, const std::string& directory) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (::strcasecmp(take_word(line).c_str(), "include") != 0) continue;
    for (std::string word; !(word = take_word(line)).empty();)
      if (word[0] != '~') patterns.push_back(word[0] == '/' ? word : directory + "/" + word);
  }
  return patterns;
}

std::vector<std::string> included_ssh_files(const std::string& config, const std::string& directory) {
  std::vector<std::string> files;
  add_included(config, directory, 0, files);
  return files;
}

std::vector<std::string> root_owned_ssh_files() {
  if (::geteuid() == 0) return {};
  auto files = included_ssh_files("/etc/ssh/ssh_config", "/etc/ssh");
  if (const char* home = ::getenv("HOME")) {
    const auto directory = std::string(home) + "/.ssh", config = directory + "/config";
    const auto more = included_ssh_files(config, directory);
    files.push_back(config);
    files.insert(files.end(), more.begin(), more.end());
  }
  std::erase_if(files, [](const auto& file) { return !is_good_as_roots(file); });
  return files;
}

}  // namespace nsrun
