#include "cmd/service/vsock_command.h"

#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "host/services/vsock/vsock_host.h"
#include "host/services/vsock/vsock_peer.h"

namespace nsrun {
namespace {

constexpr auto vsock_text = R"(nsrun vsock carries streams out of a virtual machine to servers of its host.

  nsrun vsock peer --config-path FILE [OPTIONS]     in the machine: takes TCP
  nsrun vsock host --config-path FILE [OPTIONS]     on the host: dials servers

FILE, the same for both:

  tunnel:
    - name: api
      handshake-port: 9090         # vsock: by it the host finds the machine
      vsock-host-port: 8989        # vsock, of the host
      peer-address: 127.0.0.1      # where the peer takes clients
      peer-port: 3030
      upstream-server-address: 127.0.0.1:4444   # or unix:///PATH

      --cid N[,N...]        host: look for the machine under these CIDs alone
                            (default 1 and 3 to 127)
      --hvsock PATH         host: the machine's is the unix socket of
                            Firecracker's or Cloud Hypervisor's vsock device
)" SERVICE_HELP;

// Of tunnels, the failure of one is said at once, stops no other, and is the status in the end.
class Tunnels : public Serving {
 public:
  explicit Tunnels(std::vector<VsockTunnel> tunnels) : tunnels_(std::move(tunnels)) {}

  Task<Result<void>> begin() override {
    co_await open();
    if (failed_ < tunnels_.size()) co_return Result<void>{};
    co_return Error{"there is no tunnel left", {}, {}, static_cast<ExitCode>(status_)};
  }
  int status() const override { return status_; }

 protected:
  virtual Task<> open() = 0;
  const std::vector<VsockTunnel>& tunnels() const { return tunnels_; }
  TunnelFailed on_failure() {
    return [this](const Error& error) {
      const int status = fail(error);
      if (failed_++ == 0) status_ = status;
    };
  }

 private:
  const std::vector<VsockTunnel> tunnels_;
  std::size_t failed_ = 0;
  int status_ = 0;
};

class HostTunnels final : public Tunnels {
 public:
  HostTunnels(Service& service, std::vector<VsockTunnel> tunnels, VsockHost::Places places)
      : Tunnels(std::move(tunnels)), host_(service, std::move(places), on_failure()) {}

 private:
  Task<> open() override { co_await host_.begin(tunnels()); }
  VsockHost host_;
};

class PeerTunnels final : public Tunnels {
 public:
  PeerTunnels(Service& service, std::vector<VsockTunnel> tunnels)
      : Tunnels(std::move(tunnels)), peer_(service, on_failure()) {}

 private:
  Task<> open() override {
    peer_.begin(tunnels());
    co_return;
  }
  VsockPeer peer_;
};

}  // namespace

const char* vsock_help() { return vsock_text; }

int vsock_command(int argc, char** argv) {
  CLI::App app;
  ServiceOptions options;
  std::string role, config;
  VsockHost::Places places;
  options.declare(app);
  app.add_option("role", role);
  app.add_option("--config-path", config)->take_last();
  app.add_option("--cid", places.cids)->delimiter(',')->allow_extra_args(false);
  app.add_option("--hvsock", places.hybrid)->take_last();
  if (const auto status = parse_words(app, argc, argv, vsock_text)) return *status;
  const auto misuse = [](std::string what) {
    return fail({std::move(what), {}, "nsrun vsock host|peer --config-path FILE", ExitCode::usage});
  };
  const bool is_host = role == "host";
  if (!is_host && role != "peer") return misuse("vsock is host or peer, not '" + role + "'");
  if (config.empty()) return misuse("there is no --config-path");
  if (!is_host && !(places.cids.empty() && places.hybrid.empty()))
    return misuse("--cid and --hvsock are for the host");
  if (!places.hybrid.empty() && !(places.hybrid.front() == '/' && places.cids.empty()))
    return misuse("--hvsock is an absolute path, and goes without --cid");
  auto tunnels = read_vsock_config(config);
  if (!tunnels) return fail(tunnels.error());
  return serve(options, [&](Service& service) -> Result<std::unique_ptr<Serving>> {
    if (is_host) return std::make_unique<HostTunnels>(service, std::move(*tunnels), std::move(places));
    return std::make_unique<PeerTunnels>(service, std::move(*tunnels));
  });
}

}  // namespace nsrun
