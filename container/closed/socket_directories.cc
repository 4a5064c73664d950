#include "container/closed/socket_directories.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <string_view>

namespace nsrun {
namespace {

// Sticky and for all where programs of different users make their sockets in one place.
constexpr auto for_all = "1777", for_owner = "0700", for_reading = "0755";

constexpr const char* daemons[] = {
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/var/lib/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/run/snapd.socket",
    "/run/snapd-snap.socket",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/systemd/journal/socket",
    "/run/systemd/journal/stdout",
    "/run/systemd/journal/dev-log",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/udev/control",
    "/run/nscd/socket",
    "/run/cups/cups.sock",
    "/run/avahi-daemon/socket",
    "/run/pcscd/pcscd.comm",
    "/run/acpid.socket",
    "/dev/log",
};

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value ? value : "";
}

std::string working_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) ? path : "/";
}

void add_matches(const std::string& pattern, std::vector<std::string>& into) {
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    into.insert(into.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
}

}  // namespace

std::vector<SocketDirectory> door_directories() {
  std::vector<SocketDirectory> directories{
      {"/run/user", for_reading},   // of each session: D-Bus, systemd --user, Wayland, PipeWire, gpg-agent
      {"/tmp/.X11-unix", for_all},  // X11
      {"/tmp/.ICE-unix", for_all},  // session management
      {"/run/dbus", for_reading},   // the system's D-Bus
      {"/run/containerd", for_reading},  // shims beside the daemon
      {"/dev/shm", for_all},             // POSIX shared memory and semaphores: shm_overview(7)
      {"/dev/mqueue", for_all},          // POSIX message queues can be opened here by name: mq_overview(7)
  };
  if (const auto runtime = variable("XDG_RUNTIME_DIR");
      runtime.starts_with('/') && !holds("/run/user", runtime))
    directories.push_back({runtime, for_owner});
  const auto is_needed = [here = working_directory(), home = variable("HOME")](const SocketDirectory& one) {
    return holds(one.path, here) || holds(one.path, home) || holds(one.path, "/tmp");
  };
  std::erase_if(directories, is_needed);
  return directories;
}

std::vector<std::string> known_door_sockets() {
  std::vector<std::string> paths(std::begin(daemons), std::end(daemons));
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const auto named = paths_in_variable(std::string(text.substr(std::min(text.size(), text.find('=')))));
    paths.insert(paths.end(), named.begin(), named.end());
  }
  const auto runtime = variable("XDG_RUNTIME_DIR"), display = variable("WAYLAND_DISPLAY");
  if (!display.empty()) paths.push_back(runtime + "/" + display);
  add_matches(variable("HOME") + "/.gnupg/S.*", paths);
  return paths;
}

std::vector<std::string> paths_in_variable(const std::string& value) {
  std::vector<std::string> paths;
  constexpr auto separators = "=,;: \t\n";
  for (std::size_t at = 0; (at = value.find_first_not_of(separators, at)) != value.npos;) {
    const auto end = std::min(value.size(), value.find_first_of(separators, at));
    if (value[at] == '/') {
      const auto first = value.find_first_not_of('/', at);  // the host of unix:///run/docker.sock is empty
      if (first < end) paths.push_back("/" + value.substr(first, end - first));
    }
    at = end;
  }
  return paths;
}

bool holds(const std::string& directory, const std::string& path) {
  if (directory == "/") return true;
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace nsrun
