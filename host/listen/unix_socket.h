#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>

#include "runtime/address.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A unix socket at a path, listening where it is a stream, with its mode from the moment it is there. Gone
// from the path when this goes, unless something else has taken its place.
class UnixSocket {
 public:
  struct Options {
    std::string what = "the unix socket";  // as errors have it
    mode_t mode = 0600;
    int type = SOCK_STREAM;  // or SOCK_DGRAM
  };
  // Replaces a socket that nobody has open any more. An error where somebody does, where something else is
  // there, and where the path is too long for a socket.
  static Result<UnixSocket> bind(const std::string& path, const Options& options);
  UnixSocket(UnixSocket&& other) noexcept = default;
  ~UnixSocket();

  int fd() const { return socket_.get(); }

 private:
  UnixSocket(UniqueFd socket, std::string path, dev_t device, ino_t inode)
      : socket_(std::move(socket)), path_(std::move(path)), device_(device), inode_(inode) {}

  UniqueFd socket_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

// A path of 1 to 107 bytes as an address; `what` is for the error.
Result<SocketAddress> unix_address(const std::string& path, const std::string& what);

// A non-blocking socket connected to a path. Waits for nothing: the listener's queue takes it, or it fails.
Result<UniqueFd> connect_unix(const std::string& path, const std::string& what, int type = SOCK_STREAM);

}  // namespace nsrun
