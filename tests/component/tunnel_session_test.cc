#include <ctime>
#include <list>
#include "tests/support/catch.h"

#include "tests/support/tunnel_ends.h"

// Two sessions over a WebSocket in memory.
//
//   near ◄──► server's session ◄── WebSocket ──► client's session ◄──► far

using namespace nsrun;
using namespace nsrun::test;
using tunnel::Frame;
using Type = Frame::Type;

namespace {

constexpr std::size_t megabyte = 1 << 20;

// Bytes that no other stream has, wherever they are cut.
std::string session_text(unsigned stream, std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(stream) + ":" + std::to_string(text.size()) + ";";
  text.resize(size);
  return text;
}

Task<> send_and_finish(Connection& connection, std::string text) {
  co_await write_text(connection, std::move(text));
  connection.finish();
}

Task<> receive(Connection& connection, std::string& into) { into = co_await read_to_end(connection); }

// The task that still writes to the stream sees its end before the stream goes.
Task<> reset_both(TunnelEnds::Stream& stream) {
  for (auto* end : {&stream.near, &stream.far}) (*end)->reset();
  for (int turn = 0; turn < 100; ++turn) co_await give_way();
}

// Writes for as long as it is let.
Task<> fill(Connection& connection, std::size_t& sent) {
  const std::string piece(16 * 1024, 'x');
  for (;;) {
    const auto written = co_await connection.write(as_bytes(piece));
    if (!written) co_return;
    sent += piece.size();
  }
}

Task<> open_one(TunnelSession& session, Frame asked,
                std::optional<Result<std::unique_ptr<Connection>>>& into) {
  into = co_await session.open(std::move(asked), Transport::stream);
}

// Everything that 999 streams have to say, carried; the processor's time for it, in seconds.
Task<double> carry_all(TunnelEnds& tunnel) {
  constexpr std::size_t size = 30'000;
  const auto began = std::clock();
  std::list<TunnelEnds::Stream> streams;
  std::list<std::string> heard;
  Scope at_work(co_await asio::this_coro::executor);
  for (unsigned i = 0; i < 999; ++i) {
    auto& stream = streams.emplace_back(co_await tunnel.stream());
    at_work.spawn(send_and_finish(*stream.near, session_text(i, size)));
    at_work.spawn(receive(*stream.far, heard.emplace_back()));
  }
  co_await at_work.join();
  for (const auto& text : heard) CHECK(text.size() == size);
  co_return double(std::clock() - began) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("a stream carries bytes both ways, and each way ends by itself") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    const auto up = session_text(1, 3 * megabyte), down = session_text(2, 3 * megabyte);
    std::string at_far, at_near;
    co_await both(both(send_and_finish(*stream.near, up), receive(*stream.far, at_far)),
                  both(send_and_finish(*stream.far, down), receive(*stream.near, at_near)));
    const bool whole = at_far == up && at_near == down;
    CHECK(whole);
    while (tunnel.client.session->streams() + tunnel.server.session->streams() > 0) co_await give_way();
  }(ends));
}

TEST_CASE("who has finished still reads what the other side says, in both wires") {
  const bool binary = GENERATE(true, false);
  Loop loop;
  TunnelEnds ends(loop, binary);
  loop.run([](TunnelEnds& tunnel, bool waits) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    co_await send_and_finish(*stream.near, "a request");
    std::vector<std::byte> buffer(100);
    const auto request = co_await stream.far->read(buffer);
    REQUIRE(request.has_value());
    CHECK(as_text(Bytes(buffer).first(request->size)) == "a request");
    if (waits) {
      const auto end = co_await stream.far->read(buffer);
      CHECK((end.has_value() && end->end));
    }
    co_await send_and_finish(*stream.far, "an answer");
    const auto answer = co_await read_to_end(*stream.near);
    CHECK(answer == "an answer");
  }(ends, binary));
}

TEST_CASE("a refusal comes with its reason, as an errno") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open();
    for (const auto reason :
         {tunnel::Reason::refused, tunnel::Reason::host_unreachable, tunnel::Reason::network_unreachable,
          tunnel::Reason::prohibited, tunnel::Reason::timed_out}) {
      std::optional<Result<std::unique_ptr<Connection>>> opened;
      const auto refuse = [](TunnelEnd& end, tunnel::Reason why) -> Task<> {
        auto arrival = co_await end.next();
        CHECK(arrival->asked().text == "tcp/example.org:80");
        arrival->refuse(why);
      };
      Frame asked{.type = Type::open, .text = "tcp/example.org:80"};
      co_await both(open_one(*tunnel.client.session, asked, opened), refuse(tunnel.server, reason));
      REQUIRE((opened && opened->has_error()));
      CHECK(opened->error().code.value() == tunnel::errno_of(reason));
    }
    CHECK(tunnel.client.session->streams() + tunnel.server.session->streams() == 0);
  }(ends));
}

TEST_CASE("datagrams keep their boundaries, empty and large ones too") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream(Transport::datagram);
    CHECK(stream.far->transport() == Transport::datagram);
    for (const std::size_t size : {1, 0, 1400, 65'507}) {
      const auto text = session_text(1, size);
      co_await write_text(*stream.near, text);
      std::vector<std::byte> buffer(65'536);
      const auto chunk = co_await stream.far->read(buffer);
      REQUIRE(chunk.has_value());
      const bool same = !chunk->end && as_text(Bytes(buffer).first(chunk->size)) == text;
      CHECK(same);
    }
  }(ends));
}

TEST_CASE("a reset is a reset at the other side, and takes nobody with it") {
  const bool binary = GENERATE(true, false);
  Loop loop;
  TunnelEnds ends(loop, binary);
  loop.run([](TunnelEnds& tunnel, bool is_binary) -> Task<> {
    co_await tunnel.open();
    auto one = co_await tunnel.stream(), other = co_await tunnel.stream();
    one.far->reset();
    const auto seen = co_await read_to_end(*one.near);
    CHECK(seen == (is_binary ? "<Connection reset by peer>" : ""));
    std::string heard;
    co_await both(send_and_finish(*other.far, "still here"), receive(*other.near, heard));
    CHECK(heard == "still here");
  }(ends, binary));
}

TEST_CASE("whoever stops reading costs its window and holds up none of a thousand others") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel, Scope& beside) -> Task<> {
    co_await tunnel.open();
    auto stopped = co_await tunnel.stream();
    std::size_t sent = 0;
    beside.spawn(fill(*stopped.near, sent));
    std::list<TunnelEnds::Stream> others;
    std::list<std::string> heard;
    Scope at_work(co_await asio::this_coro::executor);
    for (unsigned i = 0; i < 999; ++i) {
      auto& stream = others.emplace_back(co_await tunnel.stream());
      at_work.spawn(send_and_finish(*stream.near, session_text(i, 20'000 + i)));
      at_work.spawn(receive(*stream.far, heard.emplace_back()));
    }
    co_await at_work.join();
    unsigned wrong = 0, i = 0;
    for (const auto& text : heard) wrong += text != session_text(i, 20'000 + i), ++i;
    CHECK(wrong == 0);
    CHECK(sent >= megabyte - 16 * 1024);
    CHECK(sent <= megabyte);
    stopped.far->reset();
  }(ends, loop.beside));
}

TEST_CASE("one stopped reader costs a thousand streams less than a twentieth") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open();
    double alone = 1e9, with_stopped = 1e9;
    // The least of some rounds: what else the machine does only adds.
    for (int round = 0; round < 10 && (round < 2 || with_stopped > 1.05 * alone); ++round) {
      const double first = co_await carry_all(tunnel);
      alone = std::min(alone, first);
      auto stopped = co_await tunnel.stream();
      std::size_t sent = 0;
      Scope filling(co_await asio::this_coro::executor);
      filling.spawn(fill(*stopped.near, sent));
      const double second = co_await carry_all(tunnel);
      with_stopped = std::min(with_stopped, second);
      stopped.far->reset();
      co_await filling.join();
    }
    CHECK(with_stopped <= 1.05 * alone);
  }(ends));
}

TEST_CASE("in JSON a stream that nobody reads is reset in the end, and the others lose nothing") {
  Loop loop;
  TunnelEnds ends(loop, false);
  loop.run([](TunnelEnds& tunnel, Scope& beside) -> Task<> {
    auto client = TunnelEnds::client_options;
    client.stall_limit = 100ms;
    co_await tunnel.open(client);
    auto stopped = co_await tunnel.stream(), other = co_await tunnel.stream();
    std::size_t sent = 0;
    beside.spawn(fill(*stopped.near, sent));
    while (tunnel.client.troubles.empty()) co_await give_way();
    std::string heard;
    co_await both(send_and_finish(*other.near, session_text(1, megabyte)), receive(*other.far, heard));
    const bool whole = heard == session_text(1, megabyte);
    CHECK(whole);
    CHECK(sent < 64 * megabyte);
    const auto rest = co_await read_to_end(*stopped.far);
    CHECK(rest == "<Connection reset by peer>");
  }(ends, loop.beside));
}

TEST_CASE("in JSON a slow reader gets everything, whatever else the tunnel carries") {
  const unsigned others = GENERATE(0u, 1u, 3u);
  Loop loop;
  TunnelEnds ends(loop, false);
  loop.run([](TunnelEnds& tunnel, Scope& beside, unsigned idle) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    std::list<TunnelEnds::Stream> open;
    for (unsigned i = 0; i < idle; ++i) open.push_back(co_await tunnel.stream());
    const std::string text = session_text(1, 40 * megabyte);
    beside.spawn(send_and_finish(*stream.near, text));
    // The reader begins when everything stands still.
    for (int still = 0; still < 20'000; ++still) co_await give_way();
    const auto heard = co_await read_to_end(*stream.far);
    const bool whole = heard == text;
    CHECK(whole);
    CHECK(tunnel.client.troubles.empty());
  }(ends, loop.beside, others));
}

TEST_CASE("a reader that takes a little within each stall limit is never reset") {
  Loop loop;
  TunnelEnds ends(loop, false);
  loop.run([](TunnelEnds& tunnel, Scope& beside) -> Task<> {
    auto client = TunnelEnds::client_options;
    client.stall_limit = 1s;
    co_await tunnel.open(client);
    auto slow = co_await tunnel.stream(), idle = co_await tunnel.stream();
    std::size_t sent = 0;
    beside.spawn(fill(*slow.near, sent));
    std::vector<std::byte> buffer(1000);
    for (int i = 0; i < 30; ++i) {
      co_await sleep_for(100ms);
      const auto chunk = co_await slow.far->read(buffer);
      REQUIRE((chunk.has_value() && !chunk->end));
    }
    CHECK(tunnel.client.troubles.empty());
    CHECK(sent > 10 * megabyte);
    co_await reset_both(slow);
  }(ends, loop.beside));
}

TEST_CASE("a session that is cancelled while it is held back leaves nothing on its loop") {
  const bool binary = GENERATE(false, true);
  Loop loop;
  TunnelEnds ends(loop, binary);
  const auto began = Clock::now();
  loop.run([](TunnelEnds& tunnel, Scope& beside) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    std::size_t sent = 0;
    beside.spawn(fill(*stream.near, sent));
    for (int still = 0; still < 20'000; ++still) co_await give_way();
    co_await reset_both(stream);
  }(ends, loop.beside));
  CHECK(Clock::now() - began < 10s);
}

TEST_CASE("a peer makes a session hold a bounded amount, however many streams it uses") {
  // Also of streams that it closes at once: their bytes are still to be read.
  const bool closes = GENERATE(false, true);
  Loop loop;
  TunnelEnds ends(loop, false);
  loop.run([](TunnelEnds& tunnel, Scope& beside, bool ends_them) -> Task<> {
    co_await tunnel.open();
    std::list<TunnelEnds::Stream> streams;
    std::size_t sent = 0;
    const auto send = [](Connection& near, std::size_t& total, bool then_close) -> Task<> {
      const std::string piece(64 * 1024, 'x');
      for (std::size_t size = 0; size < 4 * megabyte; size += piece.size()) {
        if (!co_await near.write(as_bytes(piece))) co_return;
        total += piece.size();
      }
      if (then_close) near.reset();
    };
    for (int i = 0; i < 20; ++i) streams.push_back(co_await tunnel.stream());
    for (auto& stream : streams) beside.spawn(send(*stream.near, sent, ends_them));
    for (int still = 0; still < 20'000; ++still) co_await give_way();
    CHECK(sent >= 10 * megabyte);
    CHECK(sent <= 24 * megabyte);
    for (auto& stream : streams) {
      stream.near->reset();
      stream.far->reset();
    }
  }(ends, loop.beside, closes));
}

TEST_CASE("when a tunnel ends its streams are broken, and who still waits for an answer gets one") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel, Scope& beside) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    std::optional<Result<std::unique_ptr<Connection>>> opened;
    Frame asked{.type = Type::open, .text = "tcp/example.org:80"};
    beside.spawn(open_one(*tunnel.client.session, asked, opened));
    auto arrival = co_await tunnel.server.next();
    tunnel.server.session->close(WebSocket::normal, "enough");
    while (!tunnel.client.ended || !tunnel.server.ended || !opened) co_await give_way();
    CHECK(tunnel.client.ended->doing == "the far side closed the tunnel (1000): enough");
    CHECK(opened->has_error());
    CHECK(arrival->accept() == nullptr);
    const auto near = co_await read_to_end(*stream.near), far = co_await read_to_end(*stream.far);
    CHECK((near == "<Connection reset by peer>" && far == near));
  }(ends, loop.beside));
}

TEST_CASE("one that is to end when idle ends with its last stream") {
  Loop loop;
  TunnelEnds ends(loop);
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open();
    auto stream = co_await tunnel.stream();
    tunnel.client.session->close_when_idle(WebSocket::normal, "");
    std::string heard;
    co_await both(send_and_finish(*stream.near, "to the end"), receive(*stream.far, heard));
    CHECK(heard == "to the end");
    CHECK_FALSE(tunnel.client.ended.has_value());
    stream.far->finish();
    while (!tunnel.server.ended) co_await give_way();
    CHECK(tunnel.server.ended->doing == "the far side closed the tunnel (1000)");
  }(ends));
}

TEST_CASE("a side that hears nothing ends the tunnel with 1001") {
  Loop loop;
  TunnelEnds ends(loop, GENERATE(true, false));
  loop.run([](TunnelEnds& tunnel) -> Task<> {
    co_await tunnel.open({TunnelSession::Role::client, 0s, 0s}, {TunnelSession::Role::server, 0s, 50ms});
    while (!tunnel.client.ended) co_await give_way();
    CHECK(tunnel.client.ended->doing == "the far side closed the tunnel (1001): nothing was heard");
  }(ends));
}

TEST_CASE("listeners are asked for, answered and given up") {
  const bool binary = GENERATE(true, false);
  Loop loop;
  TunnelEnds ends(loop, binary);
  loop.run([](TunnelEnds& tunnel, bool is_binary) -> Task<> {
    co_await tunnel.open();
    tunnel.client.session->say({.type = Type::listen, .listener = 5, .port = 9000, .text = "localhost:3000"});
    while (tunnel.server.heard.empty()) co_await give_way();
    CHECK((tunnel.server.heard[0].port == 9000 && tunnel.server.heard[0].text == "localhost:3000"));
    CHECK(tunnel.server.heard[0].listener == (is_binary ? 5 : 0));
    tunnel.server.session->say({.type = Type::listen_err, .listener = 5, .port = 9000, .text = "taken"});
    while (tunnel.client.heard.empty()) co_await give_way();
    CHECK((tunnel.client.heard[0].type == Type::listen_err && tunnel.client.heard[0].text == "taken"));
  }(ends, binary));
}
