#include <cerrno>

#include "tests/support/catch.h"

#include "runtime/fd.h"
#include "runtime/result.h"

#include <fcntl.h>

using namespace nsrun;

TEST_CASE("an error says what we were doing, why it failed and what to do about it") {
  Error error{"cannot open /dev/net/tun", errno_code(EACCES), "is it mode 0666?"};
  CHECK(error.message() == "cannot open /dev/net/tun: Permission denied (is it mode 0666?)");
  error.advice.clear();
  CHECK(error.message() == "cannot open /dev/net/tun: Permission denied");
  CHECK(Error{"the port is not a number"}.message() == "the port is not a number");
}

TEST_CASE("errno is taken when the error is made") {
  errno = EADDRINUSE;
  const Error error = errno_error("cannot listen on 127.0.0.1:80", "", ExitCode::port_in_use);
  errno = 0;
  CHECK(error.code == boost::system::errc::address_in_use);
  CHECK(error.exit == ExitCode::port_in_use);
}

TEST_CASE("taking the value of a failure throws the failure") {
  const Result<int> result = Error{"cannot count", errno_code(ERANGE)};
  CHECK_THROWS_AS(result.value(), ErrorException);
  try {
    (void)result.value();
  } catch (const ErrorException& thrown) {
    CHECK(thrown.error().code == errno_code(ERANGE));
    CHECK(std::string(thrown.what()) == thrown.error().message());
  }
}

TEST_CASE("a descriptor is closed once, by its last owner") {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(raw >= 0);
  {
    UniqueFd first(raw);
    UniqueFd second(std::move(first));
    CHECK_FALSE(first);
    CHECK(second.get() == raw);
    auto& same = second;
    second = std::move(same);
    CHECK(is_open(raw));
  }
  CHECK_FALSE(is_open(raw));
}
