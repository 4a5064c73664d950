#include "container/command/descendants.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

// A process cannot leave its ancestors, only lose them: when its parent dies it becomes a child of the
// nearest subreaper, which we are. So killing our children, again and again, reaches every descendant in the
// end. Process 1 of a pid namespace has it easier: kill(-1) means exactly the others in it, at one stroke.

namespace nsrun {
namespace {

constexpr auto max_wait = std::chrono::seconds(1);  // for the next one of those killed to end

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

Descendants::Descendants() : list_(::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC)) {}

std::vector<pid_t> Descendants::children() const {
  if (!list_) return children_by_scan();
  std::string text;
  char piece[4096];
  for (ssize_t size; (size = ::pread(list_.get(), piece, sizeof piece, static_cast<off_t>(text.size()))) > 0;)
    text.append(piece, static_cast<std::size_t>(size));
  std::istringstream words(text);
  return {std::istream_iterator<pid_t>(words), {}};
}

// One that the kernel keeps (a FUSE server that does not answer, and whose requests nobody takes back) cannot
// even be killed. It ends when it can, without us.
void Descendants::end() const {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  auto last_end = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - last_end < max_wait) {
    if (::getpid() == 1)
      ::kill(-1, SIGKILL);
    else
      for (const pid_t child : children()) ::kill(child, SIGKILL);
    // Who was orphaned by one that ended is found on the next round.
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, nullptr, WNOHANG)) > 0) last_end = std::chrono::steady_clock::now();
    if (ended < 0 && errno == ECHILD) return;
    const timespec round{0, 50'000'000};
    ::sigtimedwait(&ends, nullptr, &round);
  }
}

}  // namespace nsrun
