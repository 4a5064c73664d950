// connect(2): after EINPROGRESS to a listener on loopback, a second connect() finds the connection complete,
// so the dialer saves one trip through the event loop.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/support/catch.h"

#include "runtime/address.h"
#include "runtime/fd.h"

using namespace nsrun;

TEST_CASE("a second connect() right after EINPROGRESS finds a loopback connection complete") {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(listener.get(), address.get(), address.length) == 0);
  REQUIRE(::listen(listener.get(), 16) == 0);
  REQUIRE(::getsockname(listener.get(), address.get(), &address.length) == 0);

  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int first = ::connect(socket.get(), address.get(), address.length);
  const int why = errno;
  REQUIRE((first == 0 || why == EINPROGRESS));
  CHECK((::connect(socket.get(), address.get(), address.length) == 0 || errno == EISCONN));
}

TEST_CASE("a second connect() to a closed loopback port says that it was refused") {
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  {
    const UniqueFd nobody(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(nobody.get(), address.get(), address.length) == 0);
    REQUIRE(::getsockname(nobody.get(), address.get(), &address.length) == 0);
  }
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int result = ::connect(socket.get(), address.get(), address.length);
  if (result < 0 && errno == EINPROGRESS) result = ::connect(socket.get(), address.get(), address.length);
  CHECK(result < 0);
  CHECK(errno == ECONNREFUSED);
}
