#include <charconv>

#include "cmd/policy_options.h"
#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "cmd/tunnel/tunnel_command.h"
#include "cmd/tunnel/tunnel_files.h"
#include "cmd/tunnel/tunnel_rules.h"
#include "host/services/tunnel/tunnel_proxy.h"
#include "host/tunnel/token_file.h"

namespace nsrun {
namespace {

constexpr auto tunnel_server_text =
    R"(nsrun tunnel server listens on this machine's loopback for the clients that
connect to it; the original vtunnel's may, too.

  nsrun tunnel server [OPTIONS]

      --port PORT           where clients connect (default 3001)
      --host ADDR           only at this address (default: all)
      --proxy PORT          an HTTP proxy on 127.0.0.1: names to which clients
                            forward lead to these clients; everything else goes
                            where --allow … allows it, or without such rules
                            anywhere except this machine
      --token-file FILE     clients have to send the token in it
      --tls-cert FILE --tls-key FILE    TLS (wss://), with this certificate
      --tls-client-ca FILE  clients need a certificate signed by this authority
      --allow-listen PORT[-PORT]        the ports that clients may have, on
                            127.0.0.1 (default: all); can be repeated
      --allow MATCH, --deny MATCH, --policy FILE …
                            where this server dials for clients; see nsrun
                            --help (default: nowhere)
      --stall-limit TIME    a stream that nobody reads for this long, and that
                            blocks the others (JSON), is reset (default 20s)
      --json                only the original's protocol
  /health answers 200 "ok".

)" SERVICE_HELP;

struct ServerOptions {
  ServiceOptions service;
  PolicyOptions policy;
  std::string host, token_file, certificate, key, client_authority, stall_limit = "20s";
  std::uint16_t port = 3001;
  std::optional<std::uint16_t> proxy;
  std::vector<std::string> ports;
  bool json = false;

  void declare(CLI::App& app) {
    service.declare(app);
    policy.declare(app);
    app.add_option("--port", port)->take_last();
    app.add_option("--host", host)->take_last();
    app.add_option("--proxy", proxy)->take_last();
    app.add_option("--stall-limit", stall_limit)->take_last();
    app.add_option("--token-file", token_file)->take_last();
    app.add_option("--tls-cert", certificate)->take_last();
    app.add_option("--tls-key", key)->take_last();
    app.add_option("--tls-client-ca", client_authority)->take_last();
    app.add_option("--allow-listen", ports)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--json", json);
  }
};

Result<TunnelServer::Ports> parse_ports(const std::string& text) {
  const auto dash = text.find('-');
  const auto number = [](const std::string& one) {
    return one == "0" ? std::optional<std::uint16_t>(0) : parse_port(one);
  };
  const auto first = number(text.substr(0, dash));
  const auto last = dash == text.npos ? first : number(text.substr(dash + 1));
  if (first && last && *first <= *last) return TunnelServer::Ports{*first, *last};
  return Error{"--allow-listen '" + text + "' is not a valid range of ports",
               {},
               "write PORT or PORT-PORT; 0 lets clients have any that is free",
               ExitCode::usage};
}

Result<EndpointUrl> endpoint_of(const ServerOptions& options) {
  const bool tls = !options.certificate.empty() || !options.key.empty();
  if (tls && (options.certificate.empty() || options.key.empty()))
    return Error{"of --tls-cert and --tls-key one was given alone", {}, "give both", ExitCode::usage};
  if (!tls && !options.client_authority.empty())
    return Error{
        "--tls-client-ca is for a server with TLS", {}, "add --tls-cert and --tls-key", ExitCode::usage};
  const bool brackets = options.host.find(':') != std::string::npos && !options.host.starts_with('[');
  const std::string host = brackets ? "[" + options.host + "]" : options.host.empty() ? "*" : options.host;
  auto endpoint = EndpointUrl::parse((tls ? "tls://" : "tcp://") + host + ":" + std::to_string(options.port));
  if (!endpoint || !tls) return endpoint;
  endpoint->options = {{"cert", options.certificate}, {"key", options.key}};
  if (!options.client_authority.empty()) endpoint->options["ca"] = options.client_authority;
  return endpoint;
}

Result<TunnelServer::Options> server_options(const ServerOptions& options, const CLI::App& app) {
  TunnelServer::Options made;
  auto token = read_token(options.token_file);
  if (!token) return token.error();
  made.upgrade.token = std::move(*token);
  made.upgrade.takes_binary = !options.json;
  made.upgrade.name = options.host;
  for (const auto& text : options.ports) {
    const auto ports = parse_ports(text);
    if (!ports) return ports.error();
    made.ports.push_back(*ports);
  }
  const auto stall_limit = stall_limit_of(options.stall_limit);
  if (!stall_limit) return stall_limit.error();
  made.stall_limit = *stall_limit;
  auto rules = load_rules(options.policy, app);
  if (!rules) return rules.error();
  made.rules = std::move(*rules);
  return made;
}

class ServingTunnel final : public Serving {
 public:
  static Result<std::unique_ptr<Serving>> make(Service& service, const EndpointUrl& where,
                                               TunnelServer::Options options,
                                               std::optional<std::uint16_t> proxy_port) {
    std::unique_ptr<ServingTunnel> made(new ServingTunnel);
    if (proxy_port) {
      const auto at = EndpointUrl::parse("tcp://127.0.0.1:" + std::to_string(*proxy_port));
      auto proxy = TunnelProxy::bind(service, at.value(), options.rules);
      if (!proxy) return as_original(proxy.error());
      made->proxy_ = std::move(*proxy);
      made->proxy_->follow(options);
    }
    made->server_ = std::make_unique<TunnelServer>(service, std::move(options));
    if (auto bound = made->server_->bind(where); !bound) return as_original(bound.error());
    return made;
  }
  Task<Result<void>> begin() override {
    server_->begin();
    if (proxy_) proxy_->begin();
    co_return Result<void>{};
  }
  Task<> end() override {
    server_->end();
    co_return;
  }

 private:
  ServingTunnel() = default;
  std::unique_ptr<TunnelProxy> proxy_;  // null: none
  std::unique_ptr<TunnelServer> server_;
};

}  // namespace

const char* tunnel_server_help() { return tunnel_server_text; }

int tunnel_server_command(int argc, char** argv) {
  CLI::App app;
  ServerOptions options;
  options.declare(app);
  if (const auto status = parse_words(app, argc, argv, tunnel_server_text)) return *status;
  auto where = endpoint_of(options);
  if (!where) return fail(where.error());
  auto made = server_options(options, app);
  if (!made) return fail(made.error());
  return serve(options.service, [&](Service& service) {
    return ServingTunnel::make(service, *where, std::move(*made), options.proxy);
  });
}

}  // namespace nsrun
