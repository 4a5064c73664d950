#include "host/listen/unix_socket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace nsrun {
namespace {

constexpr int backlog = 1024;

Error about(const std::string& what, const std::string& path) { return {"cannot make " + what + " " + path}; }

Error with_errno(Error error, std::string advice = {}) {
  error.code = errno_code();
  error.advice = std::move(advice);
  return error;
}

UniqueFd unconnected(int type) { return UniqueFd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

enum class Place { empty, stale };

// That nothing stands in the way, or a socket that nobody has open. A stream socket that is bound and does
// not listen yet refuses connections as a stale one does; a datagram socket sees the difference: whatever is
// bound there has another type than it (EPROTOTYPE), or takes it, and nobody is bothered by a connection.
Result<Place> check_place(const std::string& path, const UnixSocket::Options& options) {
  struct stat there {};
  Error error = about(options.what, path);
  if (::lstat(path.c_str(), &there) < 0)
    return errno == ENOENT ? Result<Place>(Place::empty)
                           : with_errno(std::move(error), "is the directory there?");
  if (!S_ISSOCK(there.st_mode)) {
    error.doing += ": another file is there";
    error.advice = "nsrun replaces only a socket that nobody listens at";
    return error;
  }
  const auto probe = connect_unix(path, options.what, SOCK_DGRAM);
  const int answer = probe ? 0 : probe.error().code.value();
  if (answer == ECONNREFUSED) return Place::stale;
  const bool is_bound = answer == 0 || answer == EPROTOTYPE || answer == EPERM;  // EPERM: it has a peer
  error.doing += is_bound ? ": another program listens there, or is about to"
                          : ": it cannot be seen whether another program listens there";
  error.advice = "choose another path, or remove the socket there";
  return error;
}

// Another program may have been quicker: an empty place is taken only if it still is empty.
bool move_to(const std::string& path, const std::string& file, Place place) {
  if (place == Place::empty) {
    if (::renameat2(AT_FDCWD, file.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;  // of a file system that cannot
  }
  return ::rename(file.c_str(), path.c_str()) == 0;
}

// A directory that only its owner may enter, beside the place: what is made in it is nobody else's before it
// is moved out.
class PrivateDirectory {
 public:
  explicit PrivateDirectory(const std::string& place) {
    const auto slash = place.rfind('/');
    path_ = (slash == place.npos ? "" : place.substr(0, slash + 1)) + ".nsrun-XXXXXX";
    if (!::mkdtemp(path_.data())) path_.clear();
  }
  ~PrivateDirectory() {
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  explicit operator bool() const { return !path_.empty(); }
  std::string file() const { return path_ + "/s"; }

 private:
  std::string path_;
};

}  // namespace

Result<UnixSocket> UnixSocket::bind(const std::string& path, const Options& options) {
  if (auto fits = unix_address(path, options.what); !fits) return fits.error();
  const auto place = check_place(path, options);
  if (!place) return place.error();
  const PrivateDirectory directory(path);
  if (!directory) return with_errno(about(options.what, path), "may files be made in its directory?");
  const std::string file = directory.file();
  const auto address = unix_address(file, options.what);
  if (!address) return address.error();
  UniqueFd socket = unconnected(options.type);
  struct stat made {};
  const bool listens = options.type == SOCK_STREAM;
  if (!socket || ::bind(socket.get(), address->get(), address->length) < 0 ||
      ::chmod(file.c_str(), options.mode) < 0 || ::stat(file.c_str(), &made) < 0 ||
      (listens && ::listen(socket.get(), backlog) < 0) || !move_to(path, file, *place)) {
    auto error = with_errno(about(options.what, path));
    ::unlink(file.c_str());
    return error;
  }
  return UnixSocket(std::move(socket), path, made.st_dev, made.st_ino);
}

UnixSocket::~UnixSocket() {
  struct stat there {};
  if (socket_ && ::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_)
    ::unlink(path_.c_str());
}

Result<SocketAddress> unix_address(const std::string& path, const std::string& what) {
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty()) return Error{what + " has no path", {}, {}, ExitCode::usage};
  if (path.size() >= sizeof un->sun_path)
    return Error{"the path of " + what + " is too long: " + path, errno_code(ENAMETOOLONG),
                 "a socket's path has at most " + std::to_string(sizeof un->sun_path - 1) + " bytes",
                 ExitCode::usage};
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Result<UniqueFd> connect_unix(const std::string& path, const std::string& what, int type) {
  const auto address = unix_address(path, what);
  if (!address) return address.error();
  UniqueFd socket = unconnected(type);
  if (socket && ::connect(socket.get(), address->get(), address->length) == 0) return socket;
  return errno_error("cannot connect to " + what + " " + path);
}

}  // namespace nsrun
