#pragma once

#include <sys/types.h>

#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A listening unix socket at a path, for its owner alone (mode 0600) from the moment it is there. Gone from
// the path when this goes, unless something else has taken its place.
class ControlSocket {
 public:
  // Replaces a socket that nobody listens at any more. An error where somebody does, where something else is
  // there, and where the path is too long for a socket.
  static Result<ControlSocket> bind(const std::string& path);
  ControlSocket(ControlSocket&& other) noexcept = default;
  ~ControlSocket();

  int fd() const { return socket_.get(); }

 private:
  ControlSocket(UniqueFd socket, std::string path, dev_t device, ino_t inode)
      : socket_(std::move(socket)), path_(std::move(path)), device_(device), inode_(inode) {}

  UniqueFd socket_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

// A stream socket connected to a path. Waits for nothing: the listener's queue takes it, or it fails.
Result<UniqueFd> connect_control(const std::string& path);

}  // namespace nsrun
