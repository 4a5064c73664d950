// unix(7): SCM_CREDENTIALS tells the host the sender's pid, as the kernel vouches for it.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.h"

#include "runtime/handshake.h"

using namespace nsrun;

TEST_CASE("a message's sender is the process that sent it, not the one that made the socket") {
  auto pair = handshake_pair();
  REQUIRE(pair.has_value());
  const pid_t child = ::fork();
  if (child == 0) {
    const auto sent = send_message(pair->second.get(), {.type = MessageType::go});
    ::_exit(sent ? 0 : 1);
  }
  REQUIRE(child > 0);
  const auto message = receive_message(pair->first.get());
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE((message.has_value() && message->has_value()));
  CHECK((*message)->sender == child);
}
