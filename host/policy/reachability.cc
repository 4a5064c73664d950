#include "host/policy/reachability.h"

namespace nsrun {
namespace {

constexpr std::uint16_t name_service_port = 53;

// Amazon's IPv6 metadata service has an address of its own (EC2 user guide, "Instance metadata"); all others
// known live at 169.254.169.254, which is link-local.
const IpAddress metadata6 = *IpAddress::parse("fd00:ec2::254");

Verdict refuse(Refusal how, std::string rule) { return {false, how, {}, std::move(rule)}; }

Verdict allow(const FlowKey& key, const Endpoint& endpoint, std::string name, std::string rule) {
  return {true, Refusal::drop, Target{key.protocol, endpoint, std::move(name), key.source}, std::move(rule)};
}

// Port numbers mean nothing to an echo.
bool is_name_service(const FlowKey& key) {
  return key.protocol != Protocol::icmp && key.target.port == name_service_port;
}

}  // namespace

Reachability::Reachability(Options options, SyntheticNames* synthetic)
    : options_(std::move(options)), synthetic_(synthetic) {}

bool Reachability::allows(const IpAddress& address) const {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
         !address.is_multicast() && address != metadata6;
}

Verdict Reachability::judge(const FlowKey& key) {
  const auto& [address, port] = key.target;
  if (options_.network.is_name_server(address)) {
    if (is_name_service(key)) return allow(key, key.target, {}, "name-service");
    return refuse(Refusal::reset, "name-service");
  }
  if (options_.network.is_gateway(address)) {
    if (!options_.host_loopback) return refuse(Refusal::reset, "host-loopback");
    const auto loopback = address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : *IpAddress::parse("::1");
    return allow(key, {loopback, port}, {}, "host-loopback");
  }
  if (synthetic_ && SyntheticNames::covers(address)) {
    const auto name = synthetic_->name_of(address);
    if (!name) return refuse(Refusal::host_unreachable, "unknown-name");
    return allow(key, {{}, port}, *name, "default");
  }
  if (!allows(address)) return refuse(Refusal::prohibited, "protected-address");
  return allow(key, key.target, {}, "default");
}

Verdict AllowAll::judge(const FlowKey& key) { return allow(key, key.target, {}, rule_); }

}  // namespace nsrun
