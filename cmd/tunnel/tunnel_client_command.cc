#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "cmd/tunnel/tunnel_command.h"
#include "cmd/tunnel/tunnel_files.h"
#include "cmd/tunnel/tunnel_rules.h"
#include "host/services/tunnel/tunnel_client.h"
#include "host/text/units.h"
#include "host/tunnel/token_file.h"

namespace nsrun {
namespace {

constexpr auto tunnel_client_text =
    R"(nsrun tunnel client lets a server listen, and connects the clients there from
this machine; the server may be the original vtunnel.

  nsrun tunnel client --server URL --forward PORT=ADDR [--forward …]

      --server URL          ws://HOST[:PORT]/ or wss://HOST[:PORT]/
      --forward PORT=ADDR   clients of the server's port are connected to ADDR:
                            HOST:PORT, tls://HOST:PORT (clients use no TLS, and
                            the Host of HTTP requests is rewritten), or another
                            endpoint (nsrun forward --help). Port 0: any
      --token-file FILE     sends the server the token in it
  -H 'NAME: VALUE'          a header of the request; can be repeated
      --ca FILE             the authority of the server's certificate, instead of
                            the system's
      --cert FILE --key FILE   shown to a server that asks for a certificate
      --insecure            accept any server
      --ping-interval TIME  a ping this often (default 30s; 0: none); a server that
                            is silent for two intervals is treated as gone
      --stall-limit TIME    a stream that nobody reads for this long, and that
                            blocks the others (JSON), is reset (default 20s)
      --allow MATCH, --deny MATCH, --policy FILE …
                            where forwards may lead; see nsrun --help (default:
                            all forwards are allowed)
      --json                only the original's protocol
  When the tunnel ends it is opened again, with all its ports: at once, then
  after 1 to 5 s. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are respected.

)" SERVICE_HELP;

struct ClientOptions {
  ServiceOptions service;
  PolicyOptions policy;
  std::string server, token_file, authority, certificate, key, ping_interval = "30s", stall_limit = "20s";
  std::vector<std::string> forwards, headers;
  bool insecure = false, json = false;

  void declare(CLI::App& app) {
    const auto repeated = [&](const char* name, std::vector<std::string>& values) {
      app.add_option(name, values)
          ->expected(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    };
    service.declare(app);
    policy.declare(app);
    app.add_option("--server", server)->take_last();
    repeated("--forward", forwards);
    repeated("-H,--header", headers);
    app.add_option("--token-file", token_file)->take_last();
    app.add_option("--ca", authority)->take_last();
    app.add_option("--cert", certificate)->take_last();
    app.add_option("--key", key)->take_last();
    app.add_option("--ping-interval", ping_interval)->take_last();
    app.add_option("--stall-limit", stall_limit)->take_last();
    app.add_flag("--insecure", insecure);
    app.add_flag("--json", json);
  }
};

Result<std::pair<std::string, std::string>> parse_header(const std::string& text) {
  const auto colon = text.find(':');
  const Error wrong{"-H '" + text.substr(0, colon) + "' is not a valid header",
                    {},
                    "write -H 'NAME: VALUE'",
                    ExitCode::usage};
  if (colon == text.npos || colon == 0) return wrong;
  const auto is_odd = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_odd) || text.substr(0, colon).find(' ') != text.npos)
    return wrong;
  auto value = text.substr(colon + 1);
  value.erase(0, value.find_first_not_of(' '));
  return std::pair(text.substr(0, colon), value);
}

Result<TunnelAccess> access_of(const ClientOptions& options) {
  TunnelAccess access;
  for (const auto& text : options.headers) {
    auto header = parse_header(text);
    if (!header) return header.error();
    access.headers.push_back(std::move(*header));
  }
  auto token = read_token(options.token_file);
  if (!token) return token.error();
  auto authority = read_file("--ca", options.authority);
  if (!authority) return authority.error();
  auto identity = read_identity(options.certificate, options.key);
  if (!identity) return identity.error();
  access.token = std::move(*token);
  access.tls.trusted = std::move(*authority);
  access.tls.identity = std::move(*identity);
  access.tls.verify = !options.insecure;
  access.json = options.json;
  return access;
}

Result<std::vector<TunnelForward>> forwards_of(const ClientOptions& options) {
  std::vector<TunnelForward> forwards;
  for (const auto& text : options.forwards) {
    auto forward = TunnelForward::parse(text);
    if (!forward) return forward.error();
    forwards.push_back(std::move(*forward));
  }
  return forwards;
}

Result<Clock::duration> interval_of(const std::string& text) {
  auto time = parse_time(text);
  if (!time) time = parse_time(text + "s");
  if (time) return std::chrono::duration_cast<Clock::duration>(*time);
  if (text == "0" || text.starts_with('-')) return Clock::duration{};
  return Error{"--ping-interval '" + text + "' is not a valid duration",
               {},
               "write for instance 30s, or 0",
               ExitCode::usage};
}

class ServingTunnelClient final : public Serving {
 public:
  ServingTunnelClient(std::unique_ptr<TunnelClient> client, std::vector<TunnelForward> forwards, bool quiet)
      : client_(std::move(client)), forwards_(std::move(forwards)), quiet_(quiet) {}

  Task<Result<void>> begin() override {
    const auto connected = co_await client_->connect();
    if (!connected) co_return as_original(connected.error());
    // All at once: a server may answer late, or not at all.
    Scope asking(co_await asio::this_coro::executor);
    for (auto& forward : forwards_) asking.spawn(listen(std::move(forward)));
    co_await asking.join();
    if (misuse_) co_return as_original(*misuse_);
    co_return Result<void>{};
  }
  Task<> end() override {
    client_->close_when_idle();
    co_return;
  }

 private:
  // A port that the server refuses is reported by the client, and asked for again; the others work.
  Task<> listen(TunnelForward forward) {
    const std::string to = forward.text;
    const bool any = forward.port == 0;
    const auto port = co_await client_->listen(std::move(forward));
    if (!port && port.error().exit == ExitCode::usage) misuse_ = port.error();
    if (port && any && !quiet_)
      std::fprintf(stderr, "nsrun: port %u leads to %s\n", unsigned{*port}, to.c_str());
  }

  const std::unique_ptr<TunnelClient> client_;
  std::vector<TunnelForward> forwards_;
  const bool quiet_;
  std::optional<Error> misuse_;  // of a forward that can never be
};

Error misused_client(std::string what) {
  return {
      std::move(what), {}, "nsrun tunnel client --server ws://HOST:PORT/ --forward PORT=ADDR", as_vtunnel};
}

}  // namespace

const char* tunnel_client_help() { return tunnel_client_text; }

int tunnel_client_command(int argc, char** argv) {
  CLI::App app;
  ClientOptions options;
  options.declare(app);
  if (const auto status = parse_words(app, argc, argv, tunnel_client_text)) return *status;
  if (options.server.empty()) return fail(misused_client("there is no server"));
  if (options.forwards.empty()) return fail(misused_client("there is nothing to forward"));
  auto address = TunnelAddress::parse(options.server);
  if (!address) return fail(address.error());
  auto access = access_of(options);
  if (!access) return fail(access.error());
  auto forwards = forwards_of(options);
  if (!forwards) return fail(forwards.error());
  auto rules = load_rules(options.policy, app);
  if (!rules) return fail(rules.error());
  const auto interval = interval_of(options.ping_interval);
  if (!interval) return fail(interval.error());
  const auto stall_limit = stall_limit_of(options.stall_limit);
  if (!stall_limit) return fail(stall_limit.error());
  return serve(options.service, [&](Service& service) -> Result<std::unique_ptr<Serving>> {
    auto client = TunnelClient::create(
        service, std::move(*address), std::move(*access),
        {.ping_interval = *interval, .reconnects = true, .stall_limit = *stall_limit}, std::move(*rules));
    if (!client) return client.error();
    return std::make_unique<ServingTunnelClient>(std::move(*client), std::move(*forwards),
                                                 options.service.quiet);
  });
}

}  // namespace nsrun
