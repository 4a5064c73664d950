// From a flow to the function that answers it.
//
//   plain   flow ◄─ memory pipe ─► handler
//   TLS     flow ◄─ memory pipe ─► TlsConnection ◄─ pass ─► memory pipe ─► handler
//   HTTP    flow ◄─ memory pipe ─► [TlsConnection] ─► serve_http ─► handler
//
// A handler that gets a connection inside TLS gets the end of a pipe, not the TLS connection: it may let go
// of it at any moment, and what it wrote, and the end of it, still has to be encrypted and sent.

#include "testing/world_dialer.h"

#include <boost/asio/this_coro.hpp>

#include "host/dialers/memory_pipe.h"
#include "host/tls/tls_connection.h"
#include "testing/http_server.h"

namespace nsrun::testing {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;
using DeclarationPointer = std::shared_ptr<const Declaration>;

struct Visit {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};

std::string to_string(const Visit& visit) { return visit.host + ":" + std::to_string(visit.port); }

// One direction. The reader's end may go at any time; what comes back is still passed on then.
Task<> pass(Connection& from, Connection& to) {
  std::vector<std::byte> buffer(64 * 1024);
  while (true) {
    const auto chunk = co_await from.read(buffer);
    if (!chunk) co_return to.reset();
    if (chunk->end) co_return to.finish();
    const auto written = co_await to.write(Bytes(buffer).first(chunk->size));
    if (!written) co_return;
  }
}

Task<> pass_to_the_end(Connection& from, TlsConnection& to) {
  co_await pass(from, to);
  co_await to.end_sent();
}

Task<> and_wait(Task<> task) {
  co_await std::move(task);
  Signal never(co_await asio::this_coro::executor);
  co_await never.wait();
}

Task<> handle_stream(TlsConnection& client, const Handler& handler) {
  auto [inside, outside] = memory_pipe(co_await asio::this_coro::executor, Transport::stream);
  auto answered = both(handler(std::move(outside)), pass_to_the_end(*inside, client));
  // Once the handler is done nobody reads any more.
  co_await either(std::move(answered), and_wait(pass(client, *inside)));
}

std::optional<std::string> choose_http(const std::vector<std::string>& offered) {
  for (const auto& protocol : offered)
    if (protocol == "http/1.1") return protocol;
  return std::nullopt;
}

TlsServerOptions server_options(WorldState& world, const Visit& visit, const Declaration& declaration) {
  TlsServerOptions options;
  options.identity = [&world, &visit](const std::string& name) {
    return world.authority.identity_for(name.empty() ? visit.host : name);
  };
  if (declaration.kind == Declaration::Kind::http) options.choose_protocol = choose_http;
  return options;
}

Task<> answer_in_tls(WorldState& world, std::unique_ptr<Connection> near, const Visit& visit,
                     const Declaration& declaration) {
  const auto context = TlsContext::server(server_options(world, visit, declaration)).value();
  auto client = co_await tls_accept(std::move(near), *context);
  if (!client) co_return world.trouble("TLS with " + to_string(visit) + ": " + client.error().message());
  if (declaration.kind == Declaration::Kind::stream)
    co_return co_await handle_stream(**client, declaration.handler);
  HttpRequest visited{.host = visit.host, .port = visit.port, .tls = true};
  co_await serve_http(**client, std::move(visited), declaration.respond);
  co_await (*client)->end_sent();
}

Task<> answer_plain(std::unique_ptr<Connection> near, const Visit& visit, const Declaration& declaration) {
  if (declaration.kind == Declaration::Kind::stream) co_return co_await declaration.handler(std::move(near));
  HttpRequest visited{.host = visit.host, .port = visit.port, .tls = false};
  co_await serve_http(*near, std::move(visited), declaration.respond);
}

Task<> answer(WorldState& world, std::unique_ptr<Connection> near, Visit visit,
              DeclarationPointer declaration) {
  try {
    if (visit.tls)
      co_await answer_in_tls(world, std::move(near), visit, *declaration);
    else
      co_await answer_plain(std::move(near), visit, *declaration);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    world.handler_threw(std::current_exception());
  } catch (...) {
    world.handler_threw(std::current_exception());
  }
}

}  // namespace

Subject subject_of(const Target& target) {
  if (!target.name.empty()) return {target.protocol, target.name, std::nullopt, target.endpoint.port};
  return {target.protocol, {}, target.endpoint.address, target.endpoint.port};
}

std::string host_of(const Target& target) {
  return target.name.empty() ? target.endpoint.address.to_string() : target.name;
}

Task<Dialled> WorldDialer::dial(const Target& target) {
  auto declaration = world_.declared.find(subject_of(target));
  if (!declaration && world_.beyond) co_return co_await world_.beyond->dial(target);
  if (!declaration)
    co_return Error{"nothing is declared for " + target.to_string(), errno_code(ECONNREFUSED)};
  if (declaration->kind == Declaration::Kind::refuse)
    co_return Error{target.to_string() + " is declared to refuse", errno_code(ECONNREFUSED)};
  if (declaration->kind == Declaration::Kind::silence)
    co_return Error{target.to_string() + " is declared to be silent", errno_code(ETIMEDOUT)};

  const Visit visit{host_of(target), target.endpoint.port,
                    declaration->is_tls(target.protocol, target.endpoint.port)};
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  auto [ours, theirs] = memory_pipe(world_.loop.get_executor(), transport);
  world_.handlers.spawn(answer(world_, std::move(theirs), visit, std::move(declaration)));
  co_return std::move(ours);
}

}  // namespace nsrun::testing
