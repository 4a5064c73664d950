// What a network namespace leaves open: unix sockets that have a path, and memory that is shared by name.
//
//   /run/user, /dev/shm …    an empty tmpfs over each (socket_directories.h)
//   each bound socket        /dev/null over it, wherever it is: connect(2) says ECONNREFUSED
//   --allow-unix PATH        left alone, or where its directory was covered bound into the empty one
//
// Sockets in covered directories are covered too: a working directory or a descriptor that was inherited
// leads below the cover. First everything that stays reachable is held by a descriptor, so that it can be
// told from others and bound from under a cover.
//
// A cover lies on a name that is there now. When somebody outside unlinks the file or renames another over
// it, as a daemon does that starts anew, the kernel takes the cover away (detach_mounts in fs/namespace.c).

#include "container/closed/covers.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "container/closed/socket_directories.h"
#include "container/closed/unix_sockets.h"
#include "runtime/fd.h"
#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

// One's own share of the machine's memory (tmpfs(5)), as login managers give a session's directory.
constexpr auto tmpfs_size = ",size=10%";

struct AllowedSocket {
  std::string path;  // without symbolic links
  UniqueFd file;     // O_PATH: the name may come to mean another
  struct stat identity {};
};

Error no_socket(const std::string& path, int number) {
  return {"--allow-unix '" + path + "' is not a unix socket", errno_code(number),
          "it has to be there, and bound, when nsrun starts", ExitCode::usage};
}

Result<AllowedSocket> hold(const std::string& path) {
  AllowedSocket held;
  held.file.reset(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!held.file || ::fstat(held.file.get(), &held.identity) < 0) return no_socket(path, errno);
  if (!S_ISSOCK(held.identity.st_mode)) return no_socket(path, ENOTSOCK);
  std::error_code error;
  held.path = std::filesystem::canonical(path, error);
  if (error) return no_socket(path, error.value());
  return held;
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

Error uncovered(const std::string& path) {
  return explain_missing_capability(
      errno_error("cannot cover " + path + ", which leads out of the sandbox", {}, ExitCode::no_namespace),
      read_namespace_settings());
}

Result<void> cover_socket(const std::string& path, const std::vector<AllowedSocket>& allowed) {
  struct stat found {};
  // Where we see no socket the guest sees none, having no more rights than we.
  if (::stat(path.c_str(), &found) < 0 || !S_ISSOCK(found.st_mode)) return {};
  const auto is_it = [&](const AllowedSocket& one) { return is_same(one.identity, found); };
  if (std::any_of(allowed.begin(), allowed.end(), is_it)) return {};
  if (::mount("/dev/null", path.c_str(), nullptr, MS_BIND, nullptr) < 0) return uncovered(path);
  return {};
}

Result<void> cover_directory(const SocketDirectory& directory) {
  struct stat found {};
  if (::stat(directory.path.c_str(), &found) < 0 || !S_ISDIR(found.st_mode)) return {};
  const auto options = std::string("mode=") + directory.mode + tmpfs_size;
  if (::mount("tmpfs", directory.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) <
      0)
    return uncovered(directory.path);
  return {};
}

// Programs expect their runtime directory to be there, and make sockets in it.
void remake_runtime_directory() {
  const char* path = ::getenv("XDG_RUNTIME_DIR");
  if (path && holds("/run/user", path)) ::mkdir(path, 0700);
}

Result<void> bring_back(const AllowedSocket& socket) {
  struct stat found {};
  if (::stat(socket.path.c_str(), &found) == 0 && is_same(socket.identity, found)) return {};
  const auto failed = [&] { return errno_error("cannot keep " + socket.path + " reachable in the sandbox"); };
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(socket.path).parent_path(), error);
  const UniqueFd place(::open(socket.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (!place) return failed();
  const auto source = "/proc/self/fd/" + std::to_string(socket.file.get());
  if (::mount(source.c_str(), socket.path.c_str(), nullptr, MS_BIND, nullptr) < 0) return failed();
  return {};
}

Result<std::vector<std::string>> all_door_sockets() {
  const auto sockets = UnixSockets::open();
  if (!sockets) return sockets.error();
  auto paths = sockets->paths();
  if (!paths) return paths;
  const auto known = known_door_sockets();
  paths->insert(paths->end(), known.begin(), known.end());
  return paths;
}

}  // namespace

bool leaves_unix_open(const std::vector<std::string>& allowed) {
  return std::find(allowed.begin(), allowed.end(), every_unix_socket) != allowed.end();
}

Result<std::vector<FileIdentity>> cover_socket_directories(const std::vector<std::string>& allowed) {
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::vector<AllowedSocket> held;
  std::vector<FileIdentity> reachable;
  for (const auto& path : allowed) {
    auto socket = hold(path);
    if (!socket) return socket.error();
    const auto identity = identify(socket->file.get(), proc.get(), "self");
    if (!identity) return identity.error();
    reachable.push_back(*identity);
    held.push_back(std::move(*socket));
  }
  const auto sockets = all_door_sockets();
  if (!sockets) return sockets.error();
  for (const auto& path : *sockets)
    if (auto done = cover_socket(path, held); !done) return done.error();
  for (const auto& directory : door_directories())
    if (auto done = cover_directory(directory); !done) return done.error();
  remake_runtime_directory();
  for (const auto& socket : held)
    if (auto done = bring_back(socket); !done) return done.error();
  return reachable;
}

}  // namespace nsrun
