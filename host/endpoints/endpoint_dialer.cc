#include "host/endpoints/endpoint_dialer.h"

#include "host/dialers/direct_dialer.h"
#include "host/dialers/unix_dialer.h"
#include "host/endpoints/endpoint_tls.h"
#include "host/endpoints/vsock.h"
#include "host/tls/tls_dialer.h"

namespace nsrun {
namespace {

using Made = Result<std::unique_ptr<Dialer>>;
using Kind = EndpointUrl::Kind;

// One target in place of every other.
class FixedDialer final : public Dialer {
 public:
  FixedDialer(std::unique_ptr<Dialer> inner, Target fixed)
      : inner_(std::move(inner)), fixed_(std::move(fixed)) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    if ((target.protocol == Protocol::tcp) != (fixed_.protocol == Protocol::tcp))
      co_return Error{"cannot carry " + target.to_string() + " to " + fixed_.to_string(),
                      errno_code(EPROTONOSUPPORT)};
    Target fixed = fixed_;
    fixed.permits = target.permits;
    co_return co_await inner_->dial(fixed);
  }

 private:
  const std::unique_ptr<Dialer> inner_;
  const Target fixed_;
};

Error not_dialled(const EndpointUrl& endpoint, const std::string& what, std::string advice) {
  return {"cannot dial '" + endpoint.text + "': " + what, {}, std::move(advice), ExitCode::usage};
}

Made dial_ip(const EndpointUrl& endpoint, Executor executor) {
  if (auto flaw = flaw_of_target(endpoint)) return *flaw;
  std::unique_ptr<Dialer> inner = std::make_unique<DirectDialer>(executor);
  if (endpoint.kind == Kind::tls) {
    auto context = tls_client(endpoint);
    if (!context) return context.error();
    const auto name = endpoint.options.find("name");
    inner = std::make_unique<TlsDialer>(std::move(inner), std::move(*context),
                                        name == endpoint.options.end() ? "" : name->second);
  }
  return std::make_unique<FixedDialer>(std::move(inner), endpoint.target());
}

}  // namespace

std::optional<Error> flaw_of_target(const EndpointUrl& endpoint) {
  const auto address = IpAddress::parse(endpoint.host);
  if (endpoint.host.empty()) return not_dialled(endpoint, "it has no host", "write HOST:PORT");
  if (endpoint.port == 0) return not_dialled(endpoint, "it has no port", "write HOST:PORT");
  if (address && address->is_unspecified())
    return not_dialled(endpoint, endpoint.host + " is not the address of a host",
                       endpoint.is_guest() ? "write localhost for the sandbox's own loopback"
                                           : "write localhost for this machine");
  return std::nullopt;
}

Made endpoint_dialer(const EndpointUrl& endpoint, Executor executor) {
  if (endpoint.options.contains("mode"))
    return not_dialled(endpoint, "mode is for a listener's file", "leave it out");
  switch (endpoint.kind) {
    case Kind::tcp:
    case Kind::udp:
    case Kind::tls:
      return dial_ip(endpoint, executor);
    case Kind::unix_stream:
      return std::make_unique<UnixDialer>(executor, endpoint.path);
    case Kind::unix_datagram:
      return std::make_unique<UnixDialer>(executor, endpoint.path, Transport::datagram);
    case Kind::vsock:
      if (endpoint.cid == EndpointUrl::any_cid)
        return not_dialled(endpoint, "any is not a CID that can be dialled",
                           "write the number of the machine, or host");
      return std::make_unique<VsockDialer>(executor, endpoint.cid, endpoint.port);
    case Kind::hybrid_vsock:
      return std::make_unique<HybridVsockDialer>(executor, endpoint.path, endpoint.port);
    case Kind::guest_tcp:
    case Kind::guest_udp:
      break;
  }
  return not_dialled(endpoint, "there is no sandbox here", "guest+… is for nsrun --forward … -- COMMAND");
}

}  // namespace nsrun
