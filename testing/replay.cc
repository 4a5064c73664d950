#include "testing/replay.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include "host/flow/memory_pipe.h"
#include "host/dialers/proxy.h"
#include "host/http/growing_body.h"
#include "host/tls/tls_connection.h"
#include "testing/declared_dialer.h"

namespace nsrun::testing {
namespace {

namespace http = boost::beast::http;
using Dialled = Result<std::unique_ptr<Connection>>;

std::string key_of(std::string_view method, std::string_view target, std::string_view host,
                   std::string_view body) {
  std::string key;
  for (const auto part : {method, target, host, body}) key.append(part).append(1, '\0');
  return key;
}

std::string_view string_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Empty: it is no whole request, and nothing fits it.
std::string key_of(const std::string& request) {
  http::request_parser<GrowingBody> parser;
  parser.eager(true);
  parser.body_limit(max_recorded);
  boost::system::error_code error;
  std::string rest = request;
  while (!rest.empty() && !error && !parser.is_done()) {
    const auto used = parser.put(boost::asio::buffer(rest), error);
    rest.erase(0, used);
  }
  if (!parser.is_done()) return {};
  const auto& message = parser.get();
  return key_of(string_of(message.method_string()), string_of(message.target()), string_of(message[http::field::host]),
                message.body());
}

std::optional<std::string> choose_http1(const std::vector<std::string>& offered) {
  for (const auto& protocol : offered)
    if (protocol == "http/1.1") return protocol;
  return std::string();
}

std::string where(const HttpRequest& visited) { return visited.host + ":" + std::to_string(visited.port); }

// Until the program ends its side, so that it is not met with a reset for what it says last.
Task<> drain(Connection& near) {
  std::vector<std::byte> buffer(65'536);
  while (true) {
    const auto chunk = co_await near.read(buffer);
    if (!chunk || chunk->end) co_return;
  }
}

}  // namespace

Replay::Replay(WorldState& world, Recording recording) : world_(world), recording_(std::move(recording)) {
  for (const auto& flow : recording_) {
    auto& site = sites_[{flow.protocol, flow.host, flow.port}];
    site.tls |= flow.tls;
    for (const auto& exchange : flow.exchanges)
      site.answers.push_back({testing::key_of(exchange.request), &exchange});
    if (flow.exchanges.empty() && !flow.refused) site.streams.push_back(&flow);
  }
}

Replay::Key Replay::key_of(const Subject& subject) {
  auto host = subject.name.empty() ? subject.address->to_string() : std::string(subject.name);
  return {subject.protocol, std::move(host), subject.port};
}

bool Replay::knows(const Subject& subject) const { return sites_.contains(key_of(subject)); }

Task<Dialled> Replay::dial(const Target& target) {
  const auto found = sites_.find(key_of(subject_of(target)));
  if (found == sites_.end())
    co_return Error{"the recording has nothing for " + target.to_string(), errno_code(ECONNREFUSED)};
  Site& site = found->second;
  const bool more = site.next_stream < site.streams.size();
  if (site.answers.empty() && !more) {
    if (!site.streams.empty()) world_.trouble("the recording has no more flows to " + target.to_string());
    co_return Error{"the recording has no answer for " + target.to_string(), errno_code(ECONNREFUSED)};
  }
  const RecordedFlow* stream = site.answers.empty() ? site.streams[site.next_stream++] : nullptr;
  HttpRequest visited;
  visited.host = host_of(target);
  visited.port = target.endpoint.port;
  visited.tls = site.tls;
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  auto [ours, theirs] = memory_pipe(world_.loop.get_executor(), transport);
  world_.handlers.spawn(answer(std::move(theirs), std::move(visited), site, stream));
  co_return std::move(ours);
}

Task<> Replay::answer(std::unique_ptr<Connection> near, HttpRequest visited, Site& site,
                      const RecordedFlow* stream) {
  if (!site.tls) co_return co_await speak(*near, visited, site, stream);
  TlsServerOptions options;
  options.identity = [&](const std::string& name) {
    return world_.authority.identity_for(name.empty() ? visited.host : name);
  };
  options.choose_protocol = choose_http1;
  const auto context = TlsContext::server(std::move(options)).value();
  auto client = co_await tls_accept(std::move(near), *context);
  if (!client) co_return world_.trouble("TLS with " + where(visited) + ": " + client.error().message());
  co_await speak(**client, visited, site, stream);
  co_await (*client)->end_sent();
}

Task<> Replay::speak(Connection& near, const HttpRequest& visited, Site& site, const RecordedFlow* stream) {
  if (!stream) {
    RawHandler handler = [this, &site](const HttpRequest& request, bool) { return respond(request, site); };
    co_return co_await serve_http_raw(near, visited, std::move(handler));
  }
  const bool as_recorded = co_await play(near, *stream);
  if (as_recorded) co_return;
  world_.trouble("a flow to " + where(visited) + " went otherwise than in the recording");
  near.reset();
}

std::optional<RawResponse> Replay::respond(const HttpRequest& request, Site& site) {
  const auto key = testing::key_of(request.method, request.target, request.header("Host"), request.body);
  const auto answer = std::find_if(site.answers.begin(), site.answers.end(),
                                   [&](const Answer& known) { return !known.used && known.request == key; });
  if (answer == site.answers.end()) {
    world_.trouble("the recording has no (more) answer for " + request.method + " " +
                   (request.tls ? "https://" : "http://") + where(request) + request.target);
    return std::nullopt;
  }
  answer->used = true;
  return RawResponse{answer->exchange->response, !answer->exchange->closes};
}

// False: the program said something else.
Task<bool> Replay::play(Connection& near, const RecordedFlow& stream) {
  std::vector<std::byte> heard(65'536);
  for (const auto& piece : stream.pieces) {
    if (!piece.up) {
      const auto written = co_await near.write(as_bytes(piece.bytes));
      if (!written) co_return false;
    } else if (stream.protocol != Protocol::tcp) {
      const auto chunk = co_await near.read(heard);
      if (!chunk || chunk->end) co_return false;
    } else {
      heard.resize(piece.bytes.size());
      const auto read = co_await read_exactly(near, heard);
      if (!read || as_text(heard) != piece.bytes) co_return false;
    }
  }
  near.finish();
  co_await drain(near);
  co_return true;
}

}  // namespace nsrun::testing
