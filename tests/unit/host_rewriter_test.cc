#include "host/services/proxy/host_rewriter.h"

#include "tests/support/catch.h"

#include "host/flow/memory_pipe.h"
#include "tests/support/dialers_far_side.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// What is read when the asker says this, so much at a time, and ends.
std::string read_of(const std::string& said, std::size_t piece) {
  Loop loop;
  std::string heard;
  const auto body = [](Loop& in, const std::string& words, std::size_t step, std::string& all) -> Task<> {
    auto [asker, near] = memory_pipe(in.executor(), Transport::stream);
    const auto rewritten = rewrite_host(std::move(near), "new.example");
    const auto talk = [](Connection& to, const std::string& text, std::size_t most) -> Task<> {
      for (std::size_t at = 0; at < text.size(); at += most) {
        const auto written = co_await to.write(as_bytes(text).subspan(at, std::min(most, text.size() - at)));
        CHECK(written.has_value());
        co_await give_way();
      }
      to.finish();
    };
    in.beside.spawn(talk(*asker, words, step));
    all = co_await read_all(*rewritten);
  };
  loop.run(body(loop, said, piece, heard));
  return heard;
}

void becomes(const std::string& said, const std::string& heard) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100'000}}) {
    CAPTURE(piece, said.substr(0, 200));
    CHECK(read_of(said, piece) == heard);
  }
}

void passes(const std::string& said) { becomes(said, said); }

}  // namespace

TEST_CASE("each request of a connection is for the new host, and else as it was written") {
  const std::string get =
      "GET /a?b HTTP/1.1\r\nuser-AGENT:  x \r\nhOST:old.example:80\r\nAccept: */*\r\n\r\n";
  const std::string got = "GET /a?b HTTP/1.1\r\nuser-AGENT:  x \r\nHost: new.example\r\nAccept: */*\r\n\r\n";
  becomes(get, got);
  becomes(get + get, got + got);
  const std::string body = "host: not.me\r\n\r\nGET / HTTP/1.1\r\n";
  const auto sized = [&](const std::string& host) {
    return "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  };
  becomes(sized("old.example") + get, sized("new.example") + got);
  const auto chunked = [](const std::string& host) {
    return "PUT / HTTP/1.1\r\nHost: " + host +
           "\r\nTransfer-Encoding: chunked\r\n\r\n7;x=y\r\nHost: a\r\n0\r\nTrailer: Host: b\r\n\r\n";
  };
  becomes(chunked("old.example") + get, chunked("new.example") + got);
}

TEST_CASE("a request has one Host, whatever it had before") {
  becomes("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: new.example\r\n\r\n");
  becomes("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: b\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: new.example\r\nX: y\r\n\r\n");
}

TEST_CASE("what is not HTTP is read as it came") {
  passes("");
  passes("SSH-2.0-OpenSSH_9.2\r\nHost: old.example\r\n\r\n");
  passes("EHLO me\r\nHost: old.example\r\n\r\n");
  passes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  passes("get key\r\nHost: old.example\r\n\r\n");
  passes(std::string("\x16\3\1\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", 32));
  passes("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  passes("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
}

TEST_CASE("what ceases to be HTTP is read as it came from there on, and a part of a head at the end") {
  const std::string upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
  const std::string upgraded = "GET / HTTP/1.1\r\nHost: new.example\r\nUpgrade: websocket\r\n\r\n";
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  becomes(upgrade + "\x81\x05hello" + get, upgraded + "\x81\x05hello" + get);
  becomes(get + "GET / HTTP/1.1\r\nHost: a\r\n",
          "GET / HTTP/1.1\r\nHost: new.example\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n");
}

TEST_CASE("words of another protocol do not wait for more") {
  Loop loop;
  const auto body = [](Loop& in) -> Task<> {
    for (const std::string said : {"USER me", "GETX", "*1\r\n", "GET / HTTP/1.1x\r\n", "get k"}) {
      auto [asker, near] = memory_pipe(in.executor(), Transport::stream);
      const auto rewritten = rewrite_host(std::move(near), "new.example");
      const auto written = co_await asker->write(as_bytes(said));
      CHECK(written.has_value());
      std::string heard(said.size(), '\0');
      const auto chunk = co_await rewritten->read(std::as_writable_bytes(std::span(heard)));
      CHECK(chunk.has_value());
      CHECK(heard == said);
    }
  };
  loop.run(body(loop));
}

TEST_CASE("the other direction, a half-close and a reset pass") {
  Loop loop;
  const auto body = [](Loop& in) -> Task<> {
    auto [asker, near] = memory_pipe(in.executor(), Transport::stream);
    const auto rewritten = rewrite_host(std::move(near), "new.example");
    co_await write_all(*rewritten, "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n");
    rewritten->finish();
    const auto answer = co_await read_all(*asker);
    CHECK(answer == "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n");
    co_await write_all(*asker, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rewritten->reset();
    std::string buffer(1, '\0');
    const auto chunk = co_await asker->read(std::as_writable_bytes(std::span(buffer)));
    CHECK(chunk.has_error());
  };
  loop.run(body(loop));
}
