// From a flow to the function that answers it.
//
//   stream  flow ◄─ memory pipe ─► [TlsConnection] ◄─ pass ─► memory pipe ─► handler
//   HTTP    flow ◄─ memory pipe ─► [TlsConnection] ─► serve_http ─► handler
//   UDP     flow ◄─ memory pipe ─► handler
//
// A handler that gets a stream may let go of it at any moment, and what it wrote, and the end of it, still
// has to arrive: hence the second pipe. What the program says after that is heard for a while and dropped,
// for to refuse it would be a reset, which overtakes what the program has not read yet.

#include "testing/declared_dialer.h"

#include <boost/asio/this_coro.hpp>

#include "host/flow/memory_pipe.h"
#include "host/tls/tls_connection.h"
#include "testing/http_server.h"

namespace nsrun::testing {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;
constexpr auto max_farewell = 2s;  // for the program to end its side, too

using DeclarationPointer = std::shared_ptr<const Declaration>;

struct Visit {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};

std::string to_string(const Visit& visit) { return visit.host + ":" + std::to_string(visit.port); }

bool is_broken_connection(const Error& error) {
  return error.code == errno_code(ECONNRESET) || error.code == errno_code(EPIPE);
}

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

Task<> and_wait(Task<> task) {
  co_await std::move(task);
  Signal never(co_await asio::this_coro::executor);
  co_await never.wait();
}

Task<> handle_stream(Connection& client, const Handler& handler) {
  auto [inside, outside] = memory_pipe(co_await asio::this_coro::executor, Transport::stream);
  auto answered = both(handler(std::move(outside)), pass(*inside, client));
  // Once the handler is done nobody reads any more.
  co_await either(std::move(answered), and_wait(pass(client, *inside)));
}

Task<bool> hear_out(Connection& client) {
  std::vector<std::byte> buffer(64 * 1024);
  while (true) {
    const auto chunk = co_await client.read(buffer);
    if (!chunk || chunk->end) co_return true;
  }
}

std::optional<std::string> choose_http(const std::vector<std::string>& offered) {
  for (const auto& protocol : offered)
    if (protocol == "http/1.1") return protocol;
  return std::nullopt;
}

Task<> serve(Connection& client, const Visit& visit, const Declaration& declaration) {
  if (declaration.kind == Declaration::Kind::stream)
    co_return co_await handle_stream(client, declaration.handler);
  HttpRequest visited;
  visited.host = visit.host;
  visited.port = visit.port;
  visited.tls = visit.tls;
  co_await serve_http(client, std::move(visited), declaration.respond);
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
  co_await serve(**client, visit, declaration);
  co_await (*client)->end_sent();
  co_await within(max_farewell, hear_out(**client));
}

Task<> answer_plain(std::unique_ptr<Connection> near, const Visit& visit, const Declaration& declaration) {
  if (near->transport() == Transport::datagram) co_return co_await declaration.handler(std::move(near));
  co_await serve(*near, visit, declaration);
  co_await within(max_farewell, hear_out(*near));
}

Task<> answer(WorldState& world, std::unique_ptr<Connection> near, Visit visit,
              DeclarationPointer declaration) {
  try {
    if (visit.tls)
      co_await answer_in_tls(world, std::move(near), visit, *declaration);
    else
      co_await answer_plain(std::move(near), visit, *declaration);
  } catch (const ErrorException& error) {
    // A program may leave whenever it likes.
    if (is_broken_connection(error.error()))
      world.trouble("the handler of " + to_string(visit) + ": " + error.what());
    else
      world.handler_threw(std::current_exception());
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
  return target.host();
}

Task<Dialled> DeclaredDialer::dial(const Target& target) {
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
