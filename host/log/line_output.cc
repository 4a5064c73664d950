// A line is written in one write(2) where there is room. A pipe that is full may take a part of a long line;
// the rest of it then goes before the next one, so that lines stay lines.

#include "host/log/line_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace nsrun {
namespace {

using Steady = std::chrono::steady_clock;

// For room in a pipe or socket. The loop stands still meanwhile; after one wait in vain lines are lost at
// once, until there is room again.
constexpr auto max_wait = std::chrono::milliseconds(500);

// A file has a place to write at for each of its descriptions, so that the others' would be over our lines,
// unless that is its end (2>FILE is opened without O_APPEND).
bool append_to(int fd) {
  struct stat there {};
  if (::fstat(fd, &there) < 0 || !S_ISREG(there.st_mode)) return true;
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ((flags & O_APPEND) || ::fcntl(fd, F_SETFL, flags | O_APPEND) == 0);
}

}  // namespace

LineOutput::LineOutput(UniqueFd file, bool is_own) : file_(std::move(file)), is_own_(is_own) {
  struct stat there {};
  if (::fstat(file_.get(), &there) < 0) return;
  is_socket_ = S_ISSOCK(there.st_mode);
  is_regular_ = S_ISREG(there.st_mode);
  size_ = there.st_size;
}

Result<LineOutput> LineOutput::open(const std::string& path) {
  if (path == "-") return to(STDERR_FILENO);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644));
  if (!file || ::fcntl(file.get(), F_SETFL, O_APPEND | O_NONBLOCK) < 0)
    return errno_error("cannot write the log file " + path);
  return LineOutput(std::move(file), true);
}

Result<LineOutput> LineOutput::to(int fd) {
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  UniqueFd own(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (own && append_to(fd)) return LineOutput(std::move(own), true);
  UniqueFd shared(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!shared) return errno_error("cannot write to descriptor " + std::to_string(fd));
  return LineOutput(std::move(shared), false);
}

ssize_t LineOutput::put_some(std::string_view text) {
  if (is_socket_) return ::send(file_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return ::write(file_.get(), text.data(), text.size());
}

bool LineOutput::wait_for_room() {
  pollfd room{file_.get(), POLLOUT, 0};
  const auto until = Steady::now() + (is_stalled_ ? std::chrono::milliseconds(0) : max_wait);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now());
    const int ready =
        ::poll(&room, 1, static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count()));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) break;
  }
  is_stalled_ = true;
  errno = EAGAIN;
  return false;
}

// `done`: bytes that were written.
bool LineOutput::put(std::string_view text, std::size_t& done) {
  const auto until = Steady::now() + max_wait;
  while (done < text.size()) {
    // One that is shared may be blocking, and would keep us for as long as it is full.
    if (!is_own_ && !is_socket_ && !wait_for_room()) return false;
    const auto put = put_some(text.substr(done));
    if (put > 0) {
      done += static_cast<std::size_t>(put);
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno != EAGAIN) return false;
    // Others may be quicker each time that there is room.
    if (Steady::now() >= until) is_stalled_ = true;
    if (!wait_for_room() || is_stalled_) return errno = EAGAIN, false;
  }
  is_stalled_ = false;
  return true;
}

bool LineOutput::write(std::string_view line) {
  std::size_t done = 0;
  bool is_written = true;
  if (!rest_.empty()) {
    is_written = put(rest_, done);
    rest_.erase(0, done);
    done = 0;
  }
  is_written = is_written && put(line, done);
  if (!is_written && done > 0) {
    rest_ = line.substr(done);
    is_written = true;
  }
  if (!is_written) {
    ++lost_;
    if (!trouble_) trouble_ = errno_error("cannot write to the log, which is not complete");
    return false;
  }
  struct stat there {};
  if (is_regular_ && ::fstat(file_.get(), &there) == 0) size_ = there.st_size;
  return true;
}

bool LineOutput::is_truncated() const {
  struct stat there {};
  return is_regular_ && ::fstat(file_.get(), &there) == 0 && there.st_size < size_;
}

}  // namespace nsrun
