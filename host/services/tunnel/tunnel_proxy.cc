#include "host/services/tunnel/tunnel_proxy.h"

namespace nsrun {
namespace {

// "tls://www.example.com:443" is offered as www.example.com:443. Empty: it is this machine's own, or no
// place.
std::string place_of(const std::string& local_addr) {
  auto place = local_addr;
  if (const auto scheme = place.find("://"); scheme != place.npos) {
    if (!place.starts_with("tcp://") && !place.starts_with("tls://")) return {};
    place = place.substr(scheme + 3);
  }
  place = place.substr(0, place.find_first_of("/?"));
  auto host = place.substr(0, place.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (host == "localhost" || (address && (address->is_loopback() || address->is_unspecified()))) return {};
  return place;
}

}  // namespace

Result<std::unique_ptr<TunnelProxy>> TunnelProxy::bind(Service& service, const EndpointUrl& where,
                                                       std::shared_ptr<const RuleSet> rules) {
  const bool has_rules = rules != nullptr;
  if (!has_rules) rules = std::make_shared<const RuleSet>();
  std::unique_ptr<TunnelProxy> made(new TunnelProxy(std::move(rules), !has_rules));
  auto proxy = HttpProxy::bind(service, where, made->map_, made->others_.names, made->others_.rules, {});
  if (!proxy) return proxy.error();
  made->proxy_ = std::move(*proxy);
  return made;
}

void TunnelProxy::offer(const void* owner, const std::string& host_port, std::uint16_t port) {
  if (const auto place = place_of(host_port); !place.empty()) map_.add(owner, place, port);
}

void TunnelProxy::follow(TunnelServer::Options& server) {
  server.listens = [this](const void* owner, std::uint16_t port, const std::string& local_addr) {
    offer(owner, local_addr, port);
  };
  server.stopped = [this](const void* owner, std::uint16_t port) { withdraw(owner, port); };
  server.ended = [this](const void* owner) { withdraw(owner); };
}

}  // namespace nsrun
