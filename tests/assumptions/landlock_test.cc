// Landlock (Linux 6.7, landlock(7)): a process that may not connect or bind TCP can still disconnect a
// connected socket (AF_UNSPEC), and cannot connect it anew, nor bind it. MSG_FASTOPEN goes past it, which is
// why seccomp refuses that (container/seccomp/connect_trap.cc).

#include <linux/landlock.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.h"

#include "runtime/address.h"
#include "runtime/fd.h"
#include "tests/support/container_skip.h"

using namespace nsrun;

namespace {

struct Attributes {
  std::uint64_t fs = 0;
  std::uint64_t net = 1 << 0 | 1 << 1;  // LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP
};

bool has_tcp_rules() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 4;
}

bool give_up_tcp() {
  const Attributes attributes;
  const auto ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  return ruleset >= 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

int connect_error(int socket, const sockaddr* address, socklen_t size) {
  return ::connect(socket, address, size) == 0 ? 0 : errno;
}

}  // namespace

TEST_CASE("under Landlock a connected socket can be disconnected, and not connected again or bound") {
  if (!has_tcp_rules()) {
    skip("this kernel's Landlock knows no TCP");
    return;
  }
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(listener.get(), address.get(), address.length) == 0);
  REQUIRE(::listen(listener.get(), 16) == 0);
  REQUIRE(::getsockname(listener.get(), address.get(), &address.length) == 0);
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(socket.get(), address.get(), address.length) == 0);

  const pid_t child = ::fork();
  if (child == 0) {
    if (!give_up_tcp()) ::_exit(10);
    const sockaddr nowhere{AF_UNSPEC, {}};
    if (connect_error(socket.get(), address.get(), address.length) != EACCES) ::_exit(11);
    if (connect_error(socket.get(), &nowhere, sizeof nowhere) != 0) ::_exit(12);
    if (connect_error(socket.get(), address.get(), address.length) != EACCES) ::_exit(13);
    const SocketAddress any(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
    if (::bind(socket.get(), any.get(), any.length) == 0 || errno != EACCES) ::_exit(14);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}
