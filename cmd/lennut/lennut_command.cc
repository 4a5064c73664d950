#include "cmd/lennut/lennut_command.h"

#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "host/endpoints/host_port.h"
#include "host/services/lennut/lennut_client.h"
#include "host/services/lennut/lennut_server.h"
#include "host/text/units.h"

namespace nsrun {
namespace {

constexpr auto lennut_text = R"(nsrun lennut is a plain reverse tunnel; either end may be the original lennut.

  nsrun lennut server [--bind-proxy HOST:PORT] [--bind-client HOST:PORT]
  nsrun lennut client [--server-addr HOST:PORT] [--proxy-to HOST:PORT]

  A connection to the server is connected to the client's --proxy-to. The client
  needs no open port of its own: it dials, and waits.

      --bind-proxy HOST:PORT   listens for connections (default *:3000: all
                               addresses, IPv4 and IPv6)
      --bind-client HOST:PORT  listens for clients (default *:3001)
      --hold TIME              how long a connection waits for a client, then it
                               is closed (default 5s)
      --server-addr HOST:PORT  the server's --bind-client (default localhost:3001)
      --proxy-to HOST:PORT     where connections go (default localhost:8080)
      --idle N                 maximum of connections that wait at the server
                               (default 8): one at first, more when they are used
  Without HOST a listener has all addresses, and the others mean localhost.
  PORT may be a service's name (services(5)). Endpoints may also be URLs, such as
  unix:///PATH (nsrun forward --help). Like the original: -server -bind-proxy …
  -bind-client …, otherwise the client.

)" SERVICE_HELP;

constexpr auto as_lennut = static_cast<ExitCode>(1);  // what the original ends with when it cannot bind

struct LennutOptions {
  ServiceOptions service;
  std::string role;
  bool is_server = false;
  std::string bind_proxy = "*:3000", bind_client = "*:3001";
  std::string server_addr = "localhost:3001", proxy_to = "localhost:8080";
  std::string hold = "5s";
  std::size_t idle = 8;

  void declare(CLI::App& app) {
    service.declare(app);
    app.add_option("role", role);
    app.add_flag("--server", is_server);
    app.add_option("--bind-proxy", bind_proxy)->take_last();
    app.add_option("--bind-client", bind_client)->take_last();
    app.add_option("--server-addr", server_addr)->take_last();
    app.add_option("--proxy-to", proxy_to)->take_last();
    app.add_option("--hold", hold)->take_last();
    app.add_option("--idle", idle)->take_last()->check(CLI::Range(1, static_cast<int>(WaitingClients::most)));
  }
};

class ServingServer final : public Serving {
 public:
  explicit ServingServer(std::unique_ptr<LennutServer> server) : server_(std::move(server)) {}
  Task<Result<void>> begin() override {
    server_->begin();
    co_return Result<void>{};
  }
  Task<> end() override {
    server_->end();
    co_return;
  }

 private:
  const std::unique_ptr<LennutServer> server_;
};

class ServingLennutClient final : public Serving {
 public:
  explicit ServingLennutClient(std::unique_ptr<LennutClient> client) : client_(std::move(client)) {}
  Task<Result<void>> begin() override {
    client_->begin();
    co_await client_->connected();
    co_return Result<void>{};
  }

 private:
  const std::unique_ptr<LennutClient> client_;
};

Result<std::unique_ptr<Serving>> make_server(Service& service, const LennutOptions& options) {
  const auto proxy = listened_endpoint(options.bind_proxy);
  const auto clients = listened_endpoint(options.bind_client);
  if (!proxy) return proxy.error();
  if (!clients) return clients.error();
  auto hold = parse_time(options.hold);
  if (!hold) hold = parse_time(options.hold + "s");
  if (!hold)
    return Error{"--hold '" + options.hold + "' is not a valid duration",
                 {},
                 "write for instance 5s",
                 ExitCode::usage};
  auto server =
      LennutServer::bind(service, {*proxy, *clients, std::chrono::duration_cast<Clock::duration>(*hold)});
  if (!server) {
    auto error = server.error();
    if (error.exit != ExitCode::usage) error.exit = as_lennut;
    return error;
  }
  return std::make_unique<ServingServer>(std::move(*server));
}

Result<std::unique_ptr<Serving>> make_client(Service& service, const LennutOptions& options) {
  auto server = dialled_endpoint(options.server_addr), to = dialled_endpoint(options.proxy_to);
  if (!server) return server.error();
  if (!to) return to.error();
  auto client = LennutClient::make(service, {.server = *server, .to = *to, .idle = options.idle});
  if (!client) return client.error();
  return std::make_unique<ServingLennutClient>(std::move(*client));
}

}  // namespace

const char* lennut_help() { return lennut_text; }

int lennut_command(int argc, char** argv) {
  CLI::App app;
  LennutOptions options;
  options.declare(app);
  if (const auto status = parse_words(app, argc, argv, lennut_text)) return *status;
  const bool is_known = options.role == "server" || options.role == "client" || options.role.empty();
  if (!is_known || (options.is_server && options.role == "client"))
    return fail({"lennut is a server or a client, not '" + options.role + "'",
                 {},
                 "nsrun lennut server, nsrun lennut client; --help lists the options",
                 ExitCode::usage});
  const bool is_server = options.is_server || options.role == "server";
  return serve(options.service, [&](Service& service) {
    return is_server ? make_server(service, options) : make_client(service, options);
  });
}

}  // namespace nsrun
