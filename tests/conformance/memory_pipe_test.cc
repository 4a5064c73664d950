#include "tests/support/catch.h"

#include "host/flow/memory_pipe.h"
#include "tests/support/dialers_far_side.h"

namespace nsrun::test {
namespace {

Task<> count_writes(Connection& to, std::string piece, int& taken) {
  while (true) {
    const auto written = co_await to.write(as_bytes(piece));
    if (!written) co_return;
    ++taken;
  }
}

Task<> writers_wait(Loop& loop, Transport transport, std::string piece, int at_most) {
  auto [one, other] = memory_pipe(loop.executor(), transport, 4096);
  int taken = 0;
  Scope writing(loop.executor());
  writing.spawn(count_writes(*one, piece, taken));
  for (int turn = 0; turn < 50; ++turn) co_await give_way();
  const int before = taken;
  CHECK(before <= at_most);
  std::vector<std::byte> buffer(65535);
  for (int i = 0; i < 10; ++i) {
    const auto chunk = co_await other->read(buffer);
    CHECK(chunk.has_value());
  }
  for (int turn = 0; turn < 50; ++turn) co_await give_way();
  CHECK(taken > before);
  co_await writing.cancel_and_join();
}

Task<> reader_goes(Loop& loop) {
  auto [one, other] = memory_pipe(loop.executor(), Transport::stream);
  co_await write_all(*other, "last words");
  other.reset();
  const auto words = co_await read_all(*one);
  CHECK(words == "last words");
  const auto written = co_await one->write(as_bytes("x"));
  REQUIRE(!written);
  CHECK(written.error().code == errno_code(EPIPE));
}

Task<> reset_drops(Loop& loop) {
  auto [one, other] = memory_pipe(loop.executor(), Transport::stream);
  co_await write_all(*one, "never read");
  one->reset();
  std::byte buffer[16];
  const auto read_there = co_await other->read(buffer);
  const auto written_there = co_await other->write(Bytes(buffer));
  const auto read_here = co_await one->read(buffer);
  CHECK(read_there.error().code == errno_code(ECONNRESET));
  CHECK(written_there.error().code == errno_code(ECONNRESET));
  CHECK(read_here.error().code == errno_code(ECONNRESET));
}

TEST_CASE("a writer into memory waits for its reader", "[memory_pipe]") {
  Loop loop;
  loop.run(writers_wait(loop, Transport::stream, std::string(1000, 'x'), 4));
  loop.run(writers_wait(loop, Transport::datagram, std::string(1000, 'x'), 4));
  loop.run(writers_wait(loop, Transport::datagram, "", 64));
  loop.run(writers_wait(loop, Transport::datagram, std::string(65507, 'x'), 1));
}

TEST_CASE("an end that goes is a close to the other", "[memory_pipe]") {
  Loop loop;
  loop.run(reader_goes(loop));
}

TEST_CASE("a reset drops what was under way and breaks both ends", "[memory_pipe]") {
  Loop loop;
  loop.run(reset_drops(loop));
}

}  // namespace
}  // namespace nsrun::test
