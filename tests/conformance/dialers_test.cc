// One suite for every dialer: what a flow may expect of its far side, whichever way leads there.
//
//   Direct        test ──────────────────► server
//   Socks5        test ──► SOCKS5 proxy ──► server        all on loopback, one thread
//   HttpConnect   test ──► HTTP proxy ────► server
//   Unix          test ──────────────────► unix socket
//   HybridVsock   test ──► monitor ──────► a virtual machine's port
//   FixedEndpoint test ──────────────────► server, at whatever it is that is dialled
//   Tls           test ──► TLS ───────────► server
//   Function      test ──────────────────► a function, in memory
//   Faultless     test ──────────────────► server, past a FaultDialer that has nothing to do
//   Slow          test ── 2 ms ──────────► server
//
// No co_await stands inside CHECK: GCC 12 evaluates it twice there.

#include <algorithm>
#include <cstring>
#include "tests/support/catch.h"

#include "host/flow/socket_connection.h"
#include "tests/support/dialers_subjects.h"

#define EVERY_DIALER \
  Direct, Socks5, HttpConnect, Unix, HybridVsock, FixedEndpoint, Tls, Function, Faultless, Slow

namespace nsrun::test {
namespace {

constexpr std::size_t large = 16 * 1024 * 1024;  // bytes

// Bytes in which any piece that is lost, doubled or moved shows.
std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t state = 88172645463325252;
  for (auto& byte : bytes) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    byte = static_cast<char>(state);
  }
  return bytes;
}

Task<std::unique_ptr<Connection>> dial(Subject& subject, Target target) {
  co_return (co_await subject.dialer().dial(target)).value();
}

Task<> send_and_finish(Connection& to, std::string bytes) {
  co_await write_all(to, std::move(bytes));
  to.finish();
}

Task<> receive_all(Connection& from, std::string& bytes) { bytes = co_await read_all(from); }

Task<> echoes(Subject& subject, std::string sent) {
  const auto target = subject.serve(Protocol::tcp, echo);
  const auto near = co_await dial(subject, target);
  CHECK(near->transport() == Transport::stream);
  std::string received;
  co_await both(send_and_finish(*near, sent), receive_all(*near, received));
  CHECK(received.size() == sent.size());
  CHECK((received == sent));  // in brackets: not printed when it fails
}

Task<> answer_after_the_end(std::unique_ptr<Connection> near) {
  const auto question = co_await read_all(*near);
  co_await send_and_finish(*near, "the answer to " + question);
}

Task<> near_finishes_first(Subject& subject) {
  const auto near = co_await dial(subject, subject.serve(Protocol::tcp, answer_after_the_end));
  co_await send_and_finish(*near, "a question");
  const auto answer = co_await read_all(*near);
  CHECK(answer == "the answer to a question");
}

Task<> speak_then_listen(std::unique_ptr<Connection> near, std::string& heard, Signal& done) {
  co_await send_and_finish(*near, "all I have to say");
  heard = co_await read_all(*near);
  done.raise();
}

Task<> far_finishes_first(Subject& subject, Executor executor) {
  std::string heard;
  Signal done(executor);
  const auto behaviour = [&](std::unique_ptr<Connection> near) {
    return speak_then_listen(std::move(near), heard, done);
  };
  const auto near = co_await dial(subject, subject.serve(Protocol::tcp, behaviour));
  const auto said = co_await read_all(*near);
  CHECK(said == "all I have to say");
  co_await send_and_finish(*near, "still here");
  co_await done.wait();
  CHECK(heard == "still here");
}

Task<> is_refused(Subject& subject) {
  const auto target = subject.refusing();
  const auto near = co_await subject.dialer().dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(subject.refusal()));
  CHECK(!near.error().doing.empty());
}

Task<> break_off(std::unique_ptr<Connection> near) {
  // One byte of two is left unread: only so does a unix socket's peer see a reset.
  std::byte first;
  (co_await near->read({&first, 1})).value();
  near->reset();
}

Task<> reset_arrives(Subject& subject) {
  const auto near = co_await dial(subject, subject.serve(Protocol::tcp, break_off));
  co_await write_all(*near, "xx");
  std::byte buffer[16];
  const auto chunk = co_await near->read(buffer);
  REQUIRE(!chunk);
  CHECK(chunk.error().code == errno_code(ECONNRESET));
}

Task<> wait_for_the_end(std::unique_ptr<Connection> near, Signal& ended) {
  std::byte buffer[16];
  while (true) {
    const auto chunk = co_await near->read(buffer);
    if (!chunk || chunk->end) break;
  }
  ended.raise();
}

Task<> going_closes(Subject& subject, Executor executor) {
  Signal ended(executor);
  const auto behaviour = [&](std::unique_ptr<Connection> near) {
    return wait_for_the_end(std::move(near), ended);
  };
  auto near = co_await dial(subject, subject.serve(Protocol::tcp, behaviour));
  co_await write_all(*near, "x");
  near.reset();
  co_await ended.wait();
}

Task<> dial_and_fail(Subject& subject, Target target) {
  const auto near = co_await subject.dialer().dial(target);
  FAIL_CHECK("a silent target answered");
}

Task<> cancel_at_every_turn(Subject& subject, Executor executor) {
  const auto target = subject.silent();
  if (!target) co_return;  // nothing to cancel in a dialer that never waits
  subject.dialer();
  co_await give_way();
  const auto before = open_descriptors();
  for (int turns = 0; turns < 60; ++turns) {
    Scope dialling(executor);
    dialling.spawn(dial_and_fail(subject, *target));
    for (int turn = 0; turn < turns; ++turn) co_await give_way();
    CHECK(dialling.size() == 1);
    co_await dialling.cancel_and_join();
    // A proxy closes its side when it sees ours gone. Should one stay open, the loop's limit ends this.
    while (open_descriptors() != before) co_await give_way();
  }
}

Task<> socket_can_be_taken(Subject& subject, Executor executor) {
  const auto near = co_await dial(subject, subject.serve(Protocol::tcp, echo));
  CHECK((near->socket() >= 0) == subject.is_kernel_socket());
  if (!subject.is_kernel_socket()) co_return;
  // Reading waits, and so registers the socket with the reactor, which must let it go again.
  co_await write_all(*near, "a");
  std::byte buffer[16];
  const auto echoed = (co_await near->read(buffer)).value();
  CHECK(echoed.size == 1);
  const int number = near->socket();
  auto taken = near->release_socket();
  CHECK(taken.get() == number);
  CHECK(near->socket() == -1);
  const auto after = co_await near->read(buffer);
  CHECK(!after);

  SocketConnection elsewhere(executor, std::move(taken));
  co_await send_and_finish(elsewhere, "bcd");
  const auto rest = co_await read_all(elsewhere);
  CHECK(rest == "bcd");
}

Task<> keeps_boundaries(Subject& subject) {
  const auto near = co_await dial(subject, subject.serve(Protocol::udp, echo));
  CHECK(near->transport() == Transport::datagram);
  std::vector<std::byte> buffer(65535);
  for (const std::size_t size : {std::size_t{1}, std::size_t{0}, std::size_t{1400}, std::size_t{65507}}) {
    const auto sent = pattern(size);
    co_await write_all(*near, sent);
    const auto chunk = (co_await near->read(buffer)).value();
    CHECK(!chunk.end);
    CHECK(chunk.size == size);
    CHECK((as_text(Bytes(buffer).first(chunk.size)) == sent));
  }
  // Two before the first is read.
  co_await write_all(*near, "one");
  co_await write_all(*near, "three");
  const auto first = (co_await near->read(buffer)).value();
  const auto second = (co_await near->read(buffer)).value();
  CHECK(first.size == 3);
  CHECK(second.size == 5);
}

Task<> cannot_carry(Subject& subject) {
  const Target target{Protocol::udp, {loopback4, 9}, {}};
  const auto near = co_await subject.dialer().dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(EPROTONOSUPPORT));
}

TEMPLATE_TEST_CASE("a dialled connection carries bytes both ways", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(echoes(subject, "hello"));
}

TEMPLATE_TEST_CASE("a large transfer arrives whole", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(echoes(subject, pattern(large)));
}

TEMPLATE_TEST_CASE("the far side answers after we have finished", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(near_finishes_first(subject));
}

TEMPLATE_TEST_CASE("we go on after the far side has finished", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(far_finishes_first(subject, loop.executor()));
}

TEMPLATE_TEST_CASE("a target that refuses is an error that says so", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(is_refused(subject));
}

TEMPLATE_TEST_CASE("the target's reset arrives as an error", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(reset_arrives(subject));
}

TEMPLATE_TEST_CASE("a connection that goes is closed", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(going_closes(subject, loop.executor()));
}

TEMPLATE_TEST_CASE("a dial cancelled at any moment leaks no descriptor", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(cancel_at_every_turn(subject, loop.executor()));
}

TEMPLATE_TEST_CASE("a kernel socket can be taken away and carries on", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(socket_can_be_taken(subject, loop.executor()));
}

TEMPLATE_TEST_CASE("datagrams keep their boundaries, or are refused", "[dialers]", EVERY_DIALER) {
  Loop loop;
  TestType subject(loop);
  loop.run(subject.carries_datagrams() ? keeps_boundaries(subject) : cannot_carry(subject));
}

}  // namespace
}  // namespace nsrun::test
