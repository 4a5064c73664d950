#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/catch.h"

#include "host/sandbox/inject/guest_socket.h"
#include "host/sandbox/inject/guest_thread.h"
#include "host/sandbox/inject/seccomp_listener.h"
#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// What the agent puts on a command under --accelerate, seen from the host's end of the listener:
//
//   test (FakeHost) ◄── accelerate: listener ── agent ── sh -c SCRIPT, whose connects wait for the test

using namespace nsrun;
using Catch::Contains;

namespace {

bool cannot_run() {
  if (skip(why_no_sandbox())) return true;
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return skip(abi < 4 ? "this kernel's Landlock knows no TCP" : "");
}

AgentOptions accelerated(const std::string& script) {
  auto options = shell(script);
  options.acceleration = Acceleration::on;
  return options;
}

SeccompListener take_offer(FakeHost& host) {
  host.bring_up();
  auto offer = host.await(MessageType::accelerate);
  REQUIRE(offer.fds.size() >= 2);
  for (std::size_t i = 1; i < offer.fds.size(); ++i) CHECK(facts_of(offer.fds[i].get()).type == SOCK_DGRAM);
  auto listener = SeccompListener::open(std::move(offer.fds.front()));
  REQUIRE(listener.has_value());
  return std::move(*listener);
}

// The next call on a TCP socket; all others go on.
TrappedCall next_tcp_call(const SeccompListener& listener) {
  for (;;) {
    pollfd waiting{listener.get(), POLLIN, 0};
    REQUIRE(::poll(&waiting, 1, 20'000) == 1);
    const auto call = listener.receive();
    REQUIRE(call.has_value());
    const auto socket = copy_descriptor(call->thread, call->descriptor);
    if (socket && facts_of(socket->get()).is_inet_stream()) return *call;
    listener.let_go_on(call->id);
  }
}

constexpr auto connecting_program = "exec bash -c 'exec 3<>/dev/tcp/192.0.2.1/80' 2>&1";

}  // namespace

TEST_CASE("an accelerated command's connect waits for the host, whose word is its errno") {
  if (cannot_run()) return;
  FakeHost host(accelerated(connecting_program));
  const auto listener = take_offer(host);
  const auto call = next_tcp_call(listener);
  CHECK(call.kind == TrappedCall::Kind::connect);
  SocketAddress address;
  CHECK(copy_address(call, address) == 0);
  CHECK(address.endpoint() == Endpoint{IpAddress::v4(192, 0, 2, 1), 80});
  CHECK(listener.answer(call.id, EOWNERDEAD));
  CHECK_THAT(host.read_all(), Contains("Owner died"));
}

TEST_CASE("a TCP connect that the host lets go on is denied by the kernel") {
  if (cannot_run()) return;
  FakeHost host(accelerated(connecting_program));
  const auto listener = take_offer(host);
  const auto call = next_tcp_call(listener);
  listener.let_go_on(call.id);
  CHECK_THAT(host.read_all(), Contains("Permission denied"));
}

TEST_CASE("a caller that was killed waits no more, and takes no answer") {
  if (cannot_run()) return;
  FakeHost host(accelerated(connecting_program));
  const auto listener = take_offer(host);
  const auto call = next_tcp_call(listener);
  CHECK(listener.waits(call.id));
  host.send({MessageType::signal, SIGKILL});
  CHECK(host.await_exit() == 128 + SIGKILL);
  CHECK_FALSE(listener.waits(call.id));
  CHECK_FALSE(listener.answer(call.id, 0));
  CHECK(listener.is_over());
}

TEST_CASE("a TCP bind that the host lets go on is denied by the kernel, one that it makes is not") {
  if (cannot_run()) return;
  constexpr auto binds =
      "exec python3 -c 'import socket; s = socket.socket(); s.bind((\"\", 4242)); "
      "print(s.getsockname()[1])' 2>&1";
  for (const bool lets_go_on : {true, false}) {
    FakeHost host(accelerated(binds));
    const auto listener = take_offer(host);
    const auto call = next_tcp_call(listener);
    CHECK(call.kind == TrappedCall::Kind::bind);
    if (lets_go_on) {
      listener.let_go_on(call.id);
      CHECK_THAT(host.read_all(), Contains("Permission denied"));
      continue;
    }
    SocketAddress address;
    CHECK(copy_address(call, address) == 0);
    const auto socket = copy_descriptor(call.thread, call.descriptor);
    REQUIRE(socket.has_value());
    CHECK(::bind(socket->get(), address.get(), address.length) == 0);
    CHECK(listener.answer(call.id, 0));
    CHECK_THAT(host.read_all(), Contains("4242"));
  }
}

TEST_CASE("a signal does not end a call that the host has heard of, until the host lets it") {
  if (cannot_run()) return;
  constexpr auto connects_with_handler =
      "exec python3 -c 'import signal, socket\n"
      "def handler(*_): raise SystemExit(\"handled\")\n"
      "signal.signal(signal.SIGUSR1, handler)\n"
      "socket.socket().connect((\"192.0.2.1\", 80))' 2>&1";
  FakeHost host(accelerated(connects_with_handler));
  const auto listener = take_offer(host);
  const auto call = next_tcp_call(listener);
  CHECK_FALSE(has_signal(call.thread));
  host.send({MessageType::signal, SIGUSR1});
  while (!has_signal(call.thread)) ::sched_yield();
  CHECK(listener.waits(call.id));
  constexpr int restart_system = 512;  // ERESTARTSYS
  CHECK(listener.answer(call.id, restart_system));
  CHECK_THAT(host.read_all(), Contains("handled"));
}

TEST_CASE("a command that is not to be accelerated is not trapped") {
  if (cannot_run()) return;
  FakeHost host(shell("grep Seccomp_filters /proc/self/status"));
  host.start_command();
  FakeHost trapped(accelerated("grep Seccomp_filters /proc/self/status"));
  trapped.start_command();
  CHECK(host.read_line() != trapped.read_line());
}
