#include "cmd/completion/control_sockets.h"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>

#include "host/control/control_client.h"

namespace nsrun {
namespace {

namespace fs = std::filesystem;

// proc_pid_comm(5), proc_pid_cmdline(5): what other processes show even where they may not be traced.
std::string text_of(const fs::path& process, const char* file) {
  std::ifstream stream(process / file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The value of --control among words that end with a zero byte each; empty: there is none.
std::string control_option(const std::string& words) {
  constexpr std::string_view option = "--control";
  bool is_next = false;
  for (std::size_t at = 0; at < words.size();) {
    const auto end = std::min(words.find('\0', at), words.size());
    const auto word = std::string_view(words).substr(at, end - at);
    if (is_next) return std::string(word);
    if (word.starts_with("--control=")) return std::string(word.substr(option.size() + 1));
    is_next = word == option;
    at = end + 1;
  }
  return {};
}

}  // namespace

std::vector<std::string> live_control_sockets() {
  std::set<std::string> found;
  std::error_code ignored;  // a process that ended meanwhile
  for (fs::directory_iterator process("/proc", ignored), end; !ignored && process != end;
       process.increment(ignored)) {
    if (!std::isdigit(static_cast<unsigned char>(process->path().filename().string()[0]))) continue;
    if (!text_of(process->path(), "comm").starts_with("nsrun")) continue;
    const auto path = control_option(text_of(process->path(), "cmdline"));
    // Asked as nsrun ctl would: a killed nsrun leaves its file, and a guest may put a socket of its own in the place.
    if (!path.empty() && ControlClient::connect(path)) found.insert(path);
  }
  return {found.begin(), found.end()};
}

}  // namespace nsrun
