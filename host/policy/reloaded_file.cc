#include "host/policy/reloaded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <deque>

namespace nsrun {
namespace {

constexpr int max_links = 40;  // symbolic links in a path, as the kernel has it (MAXSYMLINKS)

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Only root could write it, or change what it allows; and root is not the guest.
bool is_roots_alone(int file) {
  struct stat status {};
  const auto path = "/proc/self/fd/" + std::to_string(file);
  return ::geteuid() != 0 && ::fstat(file, &status) == 0 && status.st_uid == 0 &&
         ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) < 0 && errno == EACCES;
}

std::deque<std::string> words_of(const std::string& path) {
  std::deque<std::string> words;
  for (std::size_t at = 0; (at = path.find_first_not_of('/', at)) != path.npos;) {
    const auto end = std::min(path.size(), path.find('/', at));
    words.push_back(path.substr(at, end - at));
    at = end;
  }
  return words;
}

// Takes a path step by step, so that each step that was judged is the one that is used.
class Walk {
 public:
  explicit Walk(const std::string& path) : left_(words_of(path)) { start_at(path); }

  // The file at the end (O_PATH), or an invalid descriptor where a step is not root's alone.
  UniqueFd finish() {
    while (here_ && is_roots_alone(here_.get())) {
      if (left_.empty()) return std::move(here_);
      step();
    }
    return {};
  }

 private:
  void start_at(const std::string& path) {
    here_.reset(::open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }

  void step() {
    const auto name = left_.front();
    left_.pop_front();
    UniqueFd next(::openat(here_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (next && (::fstat(next.get(), &status) < 0 || (S_ISLNK(status.st_mode) && ++links_ > max_links)))
      next.reset();
    if (next && S_ISLNK(status.st_mode)) return follow(next.get());
    here_ = std::move(next);
  }

  // The link's own directory was judged: nobody else could have put it there.
  void follow(int link) {
    char target[PATH_MAX];
    const auto size = ::readlinkat(link, "", target, sizeof target);
    const std::string path(target, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    const auto words = words_of(path);
    left_.insert(left_.begin(), words.begin(), words.end());
    if (path.starts_with('/')) start_at(path);
    if (path.empty()) here_.reset();
  }

  std::deque<std::string> left_;
  UniqueFd here_;
  int links_ = 0;
};

UniqueFd reopen(int file) {
  // Without waiting for the writer of a FIFO.
  return UniqueFd(
      ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

UniqueFd open_if_roots_alone(const std::string& path) { return Walk(path).finish(); }

Result<ReloadedFile> ReloadedFile::hold(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!file) return errno_error("cannot read the policy " + path, {}, ExitCode::usage);
  return ReloadedFile(path, std::move(file));
}

Result<UniqueFd> ReloadedFile::open() const {
  UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat found {
  }, held{};
  if (!file || ::fstat(file.get(), &found) < 0 || ::fstat(file_.get(), &held) < 0)
    return errno_error("cannot read the policy " + path_, {}, ExitCode::usage);
  if (is_same(found, held) && found.st_nlink == 1) return file;
  if (const UniqueFd roots = open_if_roots_alone(path_))
    if (UniqueFd trusted = reopen(roots.get())) return trusted;
  return Error{
      is_same(found, held)
          ? "the policy " + path_ + " has more than one name, and the sandbox may write it by another"
          : "the policy " + path_ + " is another file now, and the sandbox could have put it there",
      {},
      "write the new policy into the file that nsrun was started with, without replacing it; or keep it "
      "in a directory that only root can write",
      ExitCode::usage};
}

}  // namespace nsrun
