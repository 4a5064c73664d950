#include "host/sandbox/inject/shared_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/fd.h"

namespace nsrun {
namespace {

// Looking at one costs a microsecond or two, and other connects wait meanwhile.
constexpr int max_shared_descriptors = 512;  // of all processes; past it the connect goes through the device
constexpr std::size_t max_read =
    64 << 10;                      // bytes of one file there; an epoll set that says more may hold anything
constexpr int max_processes = 64;  // of the sandbox; likewise

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string process_path(pid_t id, const char* below) { return "/proc/" + std::to_string(id) + below; }

std::string link_at(int directory, const char* name) {
  std::array<char, 64> link;
  const ssize_t size = ::readlinkat(directory, name, link.data(), link.size());
  return size < 0 ? std::string{} : std::string(link.data(), static_cast<std::size_t>(size));
}

std::optional<std::string> content_of(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::string content;
  std::array<char, 4096> piece;
  for (ssize_t size;
       content.size() < max_read && (size = ::read(file.get(), piece.data(), piece.size())) > 0;)
    content.append(piece.data(), static_cast<std::size_t>(size));
  return content;
}

std::string socket_link(std::uint64_t inode) { return "socket:[" + std::to_string(inode) + "]"; }

// /proc/PID/fdinfo names what an epoll set holds: "tfd: 5 events: … pos:0 ino:3039 sdev:8" (proc(5)).
bool epoll_holds(const std::string& information, std::uint64_t inode) {
  std::array<char, 24> text;
  const auto [end, failure] = std::to_chars(text.data(), text.data() + text.size(), inode, 16);
  (void)failure;
  return information.find(" ino:" + std::string(text.data(), end) + " ") != information.npos;
}

Directory open_directory(const std::string& path) { return Directory(::opendir(path.c_str())); }

// Calls `act` with each entry's name, until it gives false.
template <class Function>
void each_entry(const Directory& directory, Function&& act) {
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr)
    if (entry->d_name[0] != '.' && !act(entry->d_name)) return;
}

// How often a process's descriptors name the socket; `left` is what may still be looked at.
int count_names(pid_t process, std::uint64_t inode, int& left) {
  const auto wanted = socket_link(inode);
  const auto descriptors = open_directory(process_path(process, "/fd"));
  if (!descriptors) return 0;
  const int directory = ::dirfd(descriptors.get());
  // Linux 6.2 and later tell their number this way (proc(5)); before that the size is 0.
  struct stat directory_itself {};
  if (::fstat(directory, &directory_itself) == 0 && directory_itself.st_size > left) return left = -1, 0;
  int found = 0;
  each_entry(descriptors, [&](const char* name) {
    if (--left < 0) return false;
    const auto link = link_at(directory, name);
    if (link == wanted) ++found;
    if (link == "anon_inode:[eventpoll]") {
      const auto held = content_of(process_path(process, "/fdinfo/") + name);
      if (held && (held->size() >= max_read || epoll_holds(*held, inode))) ++found;
    }
    return true;
  });
  return found;
}

// False: the thread has ended, or the kernel does not tell (CONFIG_PROC_CHILDREN).
bool add_children_of_thread(const std::string& task, std::vector<pid_t>& into) {
  const auto children = content_of(task + "/children");
  if (!children) return false;
  const char* at = children->data();
  const char* const end = at + children->size();
  for (pid_t child; at < end; ++at) {
    const auto [next, failure] = std::from_chars(at, end, child);
    if (failure != std::errc{}) break;
    into.push_back(child);
    at = next;
  }
  return true;
}

bool add_children(pid_t process, std::vector<pid_t>& into) {
  const auto tasks = process_path(process, "/task");
  // A directory has a link from each below it, and two of its own: the common case has one thread.
  struct stat found {};
  if (::stat(tasks.c_str(), &found) == 0 && found.st_nlink == 3)
    return add_children_of_thread(tasks + "/" + std::to_string(process), into);
  bool told = false;
  each_entry(open_directory(tasks), [&](const char* thread) {
    told |= add_children_of_thread(tasks + "/" + thread, into);
    return static_cast<int>(into.size()) <= max_processes;
  });
  return told;
}

bool is_thread_of(pid_t thread, pid_t process) {
  return ::access((process_path(process, "/task/") + std::to_string(thread)).c_str(), F_OK) == 0;
}

}  // namespace

bool is_shared(pid_t root, pid_t thread, std::uint64_t inode) {
  int left = max_shared_descriptors;
  if (count_names(thread, inode, left) != 1 || left < 0) return true;
  std::vector<pid_t> processes{root};
  for (std::size_t next = 0; next < processes.size(); ++next) {
    if (static_cast<int>(processes.size()) > max_processes) return true;
    // The first lives as long as the sandbox: if it has no such file, no process here has one.
    if (!add_children(processes[next], processes) && next == 0) return true;
  }
  const bool is_first = std::find(processes.begin(), processes.end(), thread) != processes.end();
  const auto is_caller = [&](pid_t process) {
    return is_first ? process == thread : is_thread_of(thread, process);
  };
  return std::any_of(processes.begin() + 1, processes.end(), [&](pid_t process) {
    return !is_caller(process) && (count_names(process, inode, left) != 0 || left < 0);
  });
}

std::optional<bool> closes_on_exec(pid_t thread, int descriptor, std::uint64_t inode) {
  const auto information = content_of(process_path(thread, "/fdinfo/") + std::to_string(descriptor));
  // proc_pid_fdinfo(5). A file of another kind may have the number, too: the guest's loss of that one.
  if (!information || information->find("\nino:\t" + std::to_string(inode) + "\n") == information->npos)
    return std::nullopt;
  const auto at = information->find("flags:");
  if (at == information->npos) return std::nullopt;
  return (std::strtol(information->c_str() + at + 6, nullptr, 8) & O_CLOEXEC) != 0;
}

bool still_names(pid_t thread, int descriptor, std::uint64_t inode) {
  const auto path = process_path(thread, "/fd/") + std::to_string(descriptor);
  return link_at(AT_FDCWD, path.c_str()) == socket_link(inode);
}

}  // namespace nsrun
