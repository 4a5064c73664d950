#pragma once

#include <string>
#include <vector>

namespace nsrun {

// A directory of sockets and shared memory, over which a closed sandbox finds an empty one.
struct SocketDirectory {
  std::string path;
  const char* mode;  // of the empty one, as tmpfs takes it: what programs inside may put there
};

// The directories that are there for talking to the user's session and to the system's daemons. None of them
// holds the working directory or the home directory: those stay what they are, and the sockets in them are
// closed one by one.
std::vector<SocketDirectory> door_directories();

// Where sockets are that may have been bound in another network namespace, and so are not found by asking for
// them (unix_sockets.h): those of known daemons, and whatever the environment names. Not all of them exist.
std::vector<std::string> known_door_sockets();

// ---- the pure parts

// Every absolute path that an environment variable's value mentions: "unix:path=/run/user/1000/bus,guid=0"
// and
// "/tmp/tmux-1000/default,7,0" alike.
std::vector<std::string> paths_in_variable(const std::string& value);
// `directory` is `path` or one above it; both absolute and without "..".
bool holds(const std::string& directory, const std::string& path);

}  // namespace nsrun
