#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include "tests/support/catch.h"

#include "host/listen/unix_socket.h"

// What stands at a path already, when a unix socket is to be bound there.

using namespace nsrun;

namespace {

struct SocketFolder {
  SocketFolder() { REQUIRE(::mkdtemp(path.data())); }
  ~SocketFolder() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/nsrun-test-XXXXXX";
};

UniqueFd bound_at(const std::string& path, int type) {
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const auto address = unix_address(path, "the test's socket");
  REQUIRE(address.has_value());
  REQUIRE(::bind(socket.get(), address->get(), address->length) == 0);
  return socket;
}

ino_t inode_of(const std::string& path) {
  struct stat there {};
  REQUIRE(::lstat(path.c_str(), &there) == 0);
  return there.st_ino;
}

}  // namespace

TEST_CASE("a unix socket that is bound and does not listen yet is another program's, whatever its type") {
  const SocketFolder folder;
  const auto path = folder.path + "/s";
  for (const int theirs : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM})
    for (const int ours : {SOCK_STREAM, SOCK_DGRAM}) {
      const auto other = bound_at(path, theirs);
      const auto inode = inode_of(path);
      const auto made = UnixSocket::bind(path, {.type = ours});
      CAPTURE(theirs, ours);
      REQUIRE_FALSE(made.has_value());
      CHECK(made.error().message().find("another program listens there") != std::string::npos);
      CHECK(inode_of(path) == inode);
      ::unlink(path.c_str());
    }
}

TEST_CASE("a unix socket that listens does not hear of those who look whether it does") {
  const SocketFolder folder;
  const auto path = folder.path + "/s";
  const auto other = bound_at(path, SOCK_STREAM | SOCK_NONBLOCK);
  REQUIRE(::listen(other.get(), 1) == 0);
  CHECK_FALSE(UnixSocket::bind(path, {}).has_value());
  CHECK(::accept(other.get(), nullptr, nullptr) < 0);
  CHECK(errno == EAGAIN);
}

TEST_CASE("a unix socket whose program has ended is replaced") {
  const SocketFolder folder;
  const auto path = folder.path + "/s";
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    bound_at(path, type).reset();
    const auto made = UnixSocket::bind(path, {.type = type});
    REQUIRE(made.has_value());
    CHECK(connect_unix(path, "the socket", type).has_value());
  }
}
