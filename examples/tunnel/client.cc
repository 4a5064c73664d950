// Has a tunnel's server listen, and connects whoever comes there to a place of ours, until standard input
// ends.
//
//   example_tunnel_client ws://HOST:PORT/ PORT=ADDR
//
//   clients of the server's port ─► server ◄─ WebSocket ─ TunnelClient ─► ADDR
//
// Shown: connect, listen with its outcome, close; headers and reconnecting as options. The Service is what
// all flows of a process have in common: a record (Events), live flows, the way out.

#include <nsrun/host/services/tunnel/tunnel_client.h>
#include <unistd.h>

#include <cstdio>

namespace {

using nsrun::Task, nsrun::Error;

int fail(const Error& error) {
  std::fprintf(stderr, "example_tunnel_client: %s\n", error.message().c_str());
  return 1;
}

Task<int> carry(nsrun::Service& service, nsrun::TunnelClient& client, nsrun::TunnelForward forward) {
  const auto connected = co_await client.connect();
  if (!connected) co_return fail(connected.error());
  const auto port = co_await client.listen(std::move(forward));
  if (!port) co_return fail(port.error());
  std::printf("port %u\n", unsigned{*port});
  std::fflush(stdout);

  nsrun::Descriptor input(service.executor(), ::dup(STDIN_FILENO));
  char byte;
  for (bool open = true; open;) {
    const bool ready = co_await nsrun::readable(input);
    open = ready && ::read(STDIN_FILENO, &byte, 1) > 0;
  }
  co_await client.close();
  co_return 0;
}

Task<> run(nsrun::Service& service, nsrun::TunnelClient& client, nsrun::TunnelForward forward, int& status) {
  status = co_await carry(service, client, std::move(forward));
  co_await service.end_sources();
  co_await service.drain({});  // the client may go once its flows have
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail({"it takes a URL and PORT=ADDR"});
  auto server = nsrun::TunnelAddress::parse(argv[1]);
  if (!server) return fail(server.error());
  auto forward = nsrun::TunnelForward::parse(argv[2]);
  if (!forward) return fail(forward.error());

  nsrun::asio::io_context context(1);
  nsrun::Events events;  // override flow_ended() to hear of each flow
  nsrun::Service service(context, events, "");
  nsrun::TunnelAccess access;
  access.headers = {{"X-Example", "tunnel"}};
  nsrun::TunnelClient::Options options;
  options.reconnects = true;
  auto client = nsrun::TunnelClient::create(service, std::move(*server), std::move(access), options);
  if (!client) return fail(client.error());
  int status = 1;
  nsrun::asio::co_spawn(context, run(service, **client, std::move(*forward), status),
                        [](std::exception_ptr) {});
  context.run();
  return status;
}
