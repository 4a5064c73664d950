#include <list>
#include <random>

#include "tests/support/catch.h"
#include "tests/support/tunnel_ends.h"

// Two sessions and many streams, each of which does something random: is opened from either side, refused,
// written and read in pieces, finished, reset or let go, in any order beside the others. Beside each way
// stands what a reader may expect of it: the bytes that were written, in order; the end only where the writer
// finished; an error only where one side broke the stream.

using namespace nsrun;
using namespace nsrun::test;
using tunnel::Frame;
using Type = Frame::Type;

namespace {

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }
  // Mostly small, sometimes large.
  std::size_t size() { return one_in(4) ? 1 + below(200'000) : 1 + below(2'000); }
  Task<> pause() {
    if (one_in(2)) co_return;
    for (auto turns = below(one_in(10) ? 200 : 10); turns > 0; --turns) co_await give_way();
  }

 private:
  std::mt19937 engine_;
};

struct Way {
  std::size_t offered = 0, written = 0, read = 0;  // bytes
  bool all_written = false, finished = false, at_end = false;
};

bool is_through(const Way& way) { return way.all_written && way.read == way.offered; }

enum Side { client, server };

struct ModelStream {
  unsigned id = 0;
  bool refused = false, accepted = false, broken = false;
  std::unique_ptr<Connection> ends[2];  // by Side
  Way ways[2];                          // by the writer's Side
};

// The byte of a way at a position: no other stream or way has the same sequence.
std::byte byte_at(unsigned stream, Side writer, std::size_t position) {
  return static_cast<std::byte>(position * 7 + position / 251 * 13 + stream * 31 + writer * 101);
}

struct Model {
  Model(Loop& loop, bool is_binary, unsigned seed) : ends(loop, is_binary), binary(is_binary), random(seed) {}

  TunnelEnd& end(Side side) { return side == client ? ends.client : ends.server; }
  void fault(const ModelStream& stream, const std::string& what) {
    faults.push_back("stream " + std::to_string(stream.id) + ": " + what);
  }

  TunnelEnds ends;
  const bool binary;
  Random random;
  std::list<ModelStream> streams;
  std::vector<std::string> faults;
  bool done = false;
  std::size_t ended = 0, broke = 0, refusals = 0;
};

Task<> write_way(Model& model, ModelStream& stream, Side side) {
  Way& way = stream.ways[side];
  std::vector<std::byte> piece;
  for (auto left = model.random.below(12); left > 0; --left) {
    piece.resize(model.random.size());
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(stream.id, side, way.offered + i);
    way.offered += piece.size();
    const auto written = co_await stream.ends[side]->write(piece);
    if (!written) {
      if (!stream.broken) model.fault(stream, "a write failed, and nobody broke the stream");
      co_return;
    }
    way.written += piece.size();
    if (model.binary && way.written - way.read > tunnel::limits::window)
      model.fault(stream, "more was sent ahead than the window");
    co_await model.random.pause();
  }
  way.all_written = true;
  // In JSON the end of one way is that of both, after a second of silence.
  while (!model.binary && !(is_through(stream.ways[client]) && is_through(stream.ways[server])))
    co_await give_way();
  way.finished = true;
  stream.ends[side]->finish();
}

Task<> read_way(Model& model, ModelStream& stream, Side side) {
  const Side writer = side == client ? server : client;
  Way& way = stream.ways[writer];
  std::vector<std::byte> buffer;
  for (;;) {
    buffer.resize(model.random.size());
    const auto chunk = co_await stream.ends[side]->read(buffer);
    if (!chunk) {
      if (!stream.broken) model.fault(stream, "a read failed, and nobody broke the stream");
      co_return;
    }
    if (chunk->end) {
      way.at_end = true;
      if (stream.broken) co_return;
      if (!way.finished) model.fault(stream, "an end that the writer did not make");
      if (way.read != way.offered) model.fault(stream, "bytes were lost before the end");
      co_return;
    }
    for (std::size_t i = 0; i < chunk->size; ++i)
      if (buffer[i] != byte_at(stream.id, writer, way.read + i)) {
        model.fault(stream, "a byte is not the one that was written");
        co_return;
      }
    way.read += chunk->size;
    if (way.read > way.offered) model.fault(stream, "more was read than written");
    co_await model.random.pause();
  }
}

Task<> break_stream(Model& model, ModelStream& stream) {
  for (auto turns = model.random.below(400); turns > 0; --turns) co_await give_way();
  stream.broken = true;
  ++model.broke;
  stream.ends[model.random.below(2)]->reset();
}

Task<> live(Model& model, ModelStream& stream) {
  co_await model.random.pause();
  // In JSON only a server opens, and nobody is told of a refusal or a reset.
  const Side opener = model.binary && model.random.one_in(2) ? client : server;
  // Which stream it is: of a connect in its listener (binary) or port (JSON).
  const auto number = static_cast<std::uint16_t>(stream.id + 1);
  Frame asked{.type = Type::connect, .listener = number, .port = number};
  if (opener == client) asked = {.type = Type::open, .text = "tcp/model:" + std::to_string(number)};
  auto opened = co_await model.end(opener).session->open(std::move(asked), Transport::stream);
  if (!opened) {
    if (!stream.refused) model.fault(stream, "was not opened: " + opened.error().message());
    ++model.refusals;
    co_return;
  }
  stream.ends[opener] = std::move(*opened);
  while (!stream.accepted && !stream.refused) co_await give_way();
  if (stream.refused) {
    ++model.refusals;
    co_return;
  }
  Scope tasks(co_await asio::this_coro::executor);
  for (const Side side : {client, server}) {
    tasks.spawn(write_way(model, stream, side));
    tasks.spawn(read_way(model, stream, side));
  }
  if (model.binary && model.random.one_in(4)) tasks.spawn(break_stream(model, stream));
  co_await tasks.join();
  if (!stream.broken) ++model.ended;
  for (const auto side : {opener, opener == client ? server : client}) {
    co_await model.random.pause();
    stream.ends[side].reset();
  }
}

// Takes what the far side opens, or not, sooner or later.
Task<> answer_open(Model& model, Side side) {
  while (!model.done) {
    if (model.end(side).arrivals.empty()) {
      co_await give_way();
      continue;
    }
    auto arrival = co_await model.end(side).next();
    const auto& asked = arrival->asked();
    const auto number = asked.type == Type::open ? std::stoul(asked.text.substr(asked.text.rfind(':') + 1))
                        : model.binary           ? asked.listener
                                                 : asked.port;
    const auto stream = std::next(model.streams.begin(), static_cast<std::ptrdiff_t>(number - 1));
    co_await model.random.pause();
    if (model.binary && model.random.one_in(8)) {
      stream->refused = true;
      if (model.random.one_in(2)) arrival->refuse(tunnel::Reason::refused);
      continue;
    }
    stream->ends[side] = arrival->accept();
    if (!stream->ends[side]) model.fault(*stream, "the opener left before it was answered");
    stream->accepted = true;
  }
}

Task<> run_model(Model& model, std::size_t count) {
  co_await model.ends.open();
  const auto executor = co_await asio::this_coro::executor;
  Scope answers(executor), lives(executor);
  for (const Side side : {client, server}) answers.spawn(answer_open(model, side));
  for (unsigned id = 0; id < count; ++id) {
    auto& stream = model.streams.emplace_back();
    stream.id = id;
  }
  for (auto& stream : model.streams) lives.spawn(live(model, stream));
  co_await lives.join();
  model.done = true;
  co_await answers.join();
  const auto known = [&] {
    return model.ends.client.session->streams() + model.ends.server.session->streams();
  };
  for (int turn = 0; turn < 10'000 && known() > 0; ++turn) co_await give_way();
  if (known() > 0) model.faults.push_back("streams are still known when all are over");
  for (const Side side : {client, server}) {
    const auto& end = model.end(side);
    if (end.ended) model.faults.push_back("a session ended: " + end.ended->message());
    for (const auto& trouble : end.troubles) model.faults.push_back("trouble: " + trouble);
  }
}

}  // namespace

TEST_CASE("whatever streams do beside each other, each way of each carries its bytes and is forgotten") {
  const bool binary = GENERATE(true, false);
  const unsigned seeds = binary ? 60 : 4;
  std::size_t ended = 0, broke = 0, refusals = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    Loop loop;
    Model model(loop, binary, seed);
    loop.run(run_model(model, 1 + model.random.below(40)));
    INFO("seed " << seed << (binary ? "" : ", JSON"));
    REQUIRE(model.faults == std::vector<std::string>{});
    ended += model.ended, broke += model.broke, refusals += model.refusals;
  }
  CHECK(ended > (binary ? 500u : 50u));
  if (binary) CHECK((broke > 100 && refusals > 100));
}
