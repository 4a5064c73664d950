// Recording a flow.
//
//   program ─► near ─► [TLS, by the world's authority] ─► Track ─► [TLS, verified] ─► far ─► server
//
// Whether a stream is TLS shows in the first bytes, if the program speaks first. Who speaks first is not
// known beforehand, so both ends are read, and the one that keeps silent is let alone again. A stream is kept
// twice while it lasts, as pieces and as what a look at it as HTTP gives; the latter stands if it held to the
// end.

#include "testing/recorder.h"

#include <boost/asio/this_coro.hpp>

#include "host/flow/memory_pipe.h"
#include "host/tls/tls_connection.h"
#include "testing/declared_dialer.h"
#include "testing/pushback.h"

namespace nsrun::testing {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

constexpr std::size_t buffer_size = 65'536;  // bytes: the largest datagram

// The first bytes of whoever speaks first; both empty where a side ended or broke instead.
struct FirstWords {
  std::vector<std::byte> near, far;
};

Task<> hear(Connection& from, std::vector<std::byte>& words) {
  std::vector<std::byte> buffer(buffer_size);
  const auto chunk = co_await from.read(buffer);
  if (!chunk || chunk->end) co_return;
  buffer.resize(chunk->size);
  words = std::move(buffer);
}

// A TLS record of the handshake (RFC 8446 5.1).
bool is_tls(const std::vector<std::byte>& words) {
  return words.size() >= 2 && words[0] == std::byte{22} && words[1] == std::byte{3};
}

// What we can take apart, if the program speaks it; else whatever it likes best.
std::optional<std::string> choose_protocol(const std::vector<std::string>& offered) {
  for (const auto& protocol : offered)
    if (protocol == "http/1.1") return protocol;
  return offered.empty() ? std::string() : offered.front();
}

}  // namespace

Recorder::Recorder(WorldState& world) : world_(world), direct_(world.loop.get_executor()) {
  world_.beyond = this;
  world_.reaches_outside = true;
}

Recorder::~Recorder() {
  world_.end_handlers();
  world_.beyond = nullptr;
  world_.reaches_outside = false;
}

void Recorder::Track::saw(bool up, Bytes bytes) {
  const auto text = as_text(bytes);
  const bool is_datagram = flow.protocol != Protocol::tcp;
  if (!is_datagram && up) tap.up(text);
  if (!is_datagram && !up) tap.down(text);
  if (is_datagram || flow.pieces.empty() || flow.pieces.back().up != up) flow.pieces.push_back({up});
  flow.pieces.back().bytes += text;
}

Task<Dialled> Recorder::dial(const Target& target) {
  auto& track = tracks_.emplace_back();
  track.flow = {target.protocol, host_of(target), target.endpoint.port};
  auto far = co_await direct_.dial(target);
  track.flow.refused = !far;
  if (!far) co_return far.error();
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  auto [ours, theirs] = memory_pipe(world_.loop.get_executor(), transport);
  world_.handlers.spawn(carry(std::move(theirs), std::move(*far), track));
  co_return std::move(ours);
}

Task<> Recorder::carry(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far, Track& track) {
  if (track.flow.protocol == Protocol::tcp)
    co_await carry_stream(std::move(near), std::move(far), track);
  else
    co_await relay(*near, *far, track);
}

Task<> Recorder::carry_stream(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far,
                              Track& track) {
  FirstWords first;
  co_await either(hear(*near, first.near), hear(*far, first.far));
  const bool secured = is_tls(first.near) && first.far.empty();
  near = std::make_unique<Pushback>(std::move(near), std::move(first.near));
  far = std::make_unique<Pushback>(std::move(far), std::move(first.far));
  if (secured)
    co_await carry_tls(std::move(near), std::move(far), track);
  else
    co_await relay(*near, *far, track);
}

Task<> Recorder::carry_tls(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far, Track& track) {
  track.flow.tls = true;
  const auto& host = track.flow.host;
  const auto where = "TLS with " + host + ":" + std::to_string(track.flow.port) + ": ";
  TlsServerOptions as_server;
  as_server.identity = [this, &host](const std::string& name) {
    return world_.authority.identity_for(name.empty() ? host : name);
  };
  as_server.choose_protocol = choose_protocol;
  const auto server = TlsContext::server(std::move(as_server)).value();
  auto program = co_await tls_accept(std::move(near), *server);
  if (!program) co_return world_.trouble(where + program.error().message());

  TlsClientOptions as_client;
  if (!(*program)->protocol().empty()) as_client.protocols = {(*program)->protocol()};
  const auto client = TlsContext::client(std::move(as_client)).value();
  auto name = (*program)->server_name();
  if (name.empty()) name = host;
  auto world = co_await tls_connect(std::move(far), *client, std::move(name));
  if (!world) {
    (*program)->reset();
    co_return world_.trouble(where + world.error().message());
  }
  co_await relay(**program, **world, track);
  co_await (*program)->end_sent();
}

Task<> Recorder::relay(Connection& near, Connection& far, Track& track) {
  co_await both(pump(near, far, track, true), pump(far, near, track, false));
}

Task<> Recorder::pump(Connection& from, Connection& to, Track& track, bool up) {
  std::vector<std::byte> buffer(buffer_size);
  while (true) {
    const auto chunk = co_await from.read(buffer);
    if (!up && (!chunk || chunk->end)) track.tap.down_ended();
    if (!chunk) break;
    if (chunk->end) co_return to.finish();
    const auto bytes = Bytes(buffer).first(chunk->size);
    recorded_ += chunk->size;
    if (recorded_ <= max_recorded) track.saw(up, bytes);
    const auto written = co_await to.write(bytes);
    if (!written) break;
  }
  from.reset();
  to.reset();
}

Result<Recording> Recorder::take() {
  if (recorded_ > max_recorded)
    return Error{"the program exchanged more than " + std::to_string(max_recorded / 1024 / 1024) +
                 " MiB, which is more than a recording holds"};
  Recording recording;
  for (auto& track : tracks_) {
    auto exchanges = track.tap.take_exchanges();
    if (track.tap.is_http() && !exchanges.empty()) {
      track.flow.exchanges = std::move(exchanges);
      track.flow.pieces.clear();
    }
    recording.push_back(std::move(track.flow));
  }
  return recording;
}

}  // namespace nsrun::testing
