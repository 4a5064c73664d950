#include "container/descendants.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

// A process cannot leave its ancestors, only lose them: when its parent dies it becomes a child of the
// nearest subreaper, which we are. So killing our children, again and again, reaches every descendant in the
// end. Process 1 of a pid namespace has it easier: kill(-1) means exactly the others in it, at one stroke.

namespace nsrun {
namespace {

// The fourth field of /proc/PID/stat; the second, in brackets, may hold anything.
pid_t parent_of(const std::string& stat) {
  const auto after_name = stat.rfind(") ");
  return after_name == stat.npos
             ? -1
             : static_cast<pid_t>(std::strtol(stat.c_str() + after_name + 4, nullptr, 10));
}

}  // namespace

std::vector<pid_t> children_by_scan() {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (!std::isdigit(static_cast<unsigned char>(name[0]))) continue;
    std::ifstream file(entry.path() / "stat");
    const std::string stat(std::istreambuf_iterator<char>(file), {});
    if (parent_of(stat) == ::getpid()) found.push_back(std::stoi(name));
  }
  return found;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

std::vector<pid_t> children() {
  std::ifstream file("/proc/thread-self/children");
  if (!file) return children_by_scan();
  return {std::istream_iterator<pid_t>(file), {}};
}

void end_descendants() {
  for (;;) {
    if (::getpid() == 1)
      ::kill(-1, SIGKILL);
    else
      for (const pid_t child : children()) ::kill(child, SIGKILL);
    // At least one of those killed ends; who was orphaned by that is found on the next round.
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace nsrun
