#include "host/control/control_socket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>

namespace nsrun {
namespace {

constexpr int backlog = 16;

Error about(const std::string& path) { return {"cannot make the control socket " + path}; }

Error with_errno(Error error, std::string advice = {}) {
  error.code = errno_code();
  error.advice = std::move(advice);
  return error;
}

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Error too_long(Error error) {
  error.doing += ": the path is too long";
  error.advice =
      "a socket's path has at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes";
  return error;
}

UniqueFd stream_socket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// That nothing stands in the way, or a socket that nobody listens at.
Result<void> check_place(const std::string& path) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) < 0)
    return errno == ENOENT ? Result<void>{} : with_errno(about(path), "is the directory there?");
  Error error = about(path);
  if (!S_ISSOCK(there.st_mode)) {
    error.doing += ": another file is there";
    error.advice = "nsrun replaces only a socket that nobody listens at";
    return error;
  }
  const auto listener = connect_control(path);
  if (!listener && listener.error().code.value() == ECONNREFUSED) return {};
  error.doing += listener ? ": another program listens there" : ": it cannot be seen whether another listens";
  error.advice = "choose another path, or remove the socket there";
  return error;
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

Result<ControlSocket> ControlSocket::bind(const std::string& path) {
  if (path.empty()) return Error{"the control socket has no path", {}, {}, ExitCode::usage};
  if (!address_of(path)) return too_long(about(path));
  if (auto free = check_place(path); !free) return free.error();
  const PrivateDirectory directory(path);
  if (!directory) return with_errno(about(path), "may files be made in its directory?");
  const auto address = address_of(directory.file());
  if (!address) return too_long(about(path));
  UniqueFd socket = stream_socket();
  struct stat made {};
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0 ||
      ::chmod(directory.file().c_str(), 0600) < 0 || ::stat(directory.file().c_str(), &made) < 0 ||
      ::listen(socket.get(), backlog) < 0 || ::rename(directory.file().c_str(), path.c_str()) < 0) {
    auto error = with_errno(about(path));
    ::unlink(directory.file().c_str());
    return error;
  }
  return ControlSocket(std::move(socket), path, made.st_dev, made.st_ino);
}

ControlSocket::~ControlSocket() {
  struct stat there {};
  if (socket_ && ::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_)
    ::unlink(path_.c_str());
}

Result<UniqueFd> connect_control(const std::string& path) {
  Error error{"cannot reach the control socket " + path};
  const auto address = address_of(path);
  if (!address) return too_long(std::move(error));
  UniqueFd socket = stream_socket();
  if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0)
    return socket;
  const bool absent = errno == ECONNREFUSED || errno == ENOENT;
  return with_errno(std::move(error), absent ? "is an nsrun running with --control " + path + "?" : "");
}

}  // namespace nsrun
