#include "host/services/proxy/proxy_policy.h"

#include "host/http/authority.h"

namespace nsrun {

Verdict ProxyPolicy::judge(const FlowKey& key) {
  static const SharedText rule{"domain-map"};
  const auto& [address, port] = key.target;
  SharedText name;
  if (SyntheticNames::covers(address))
    if (auto known = names_.name_of(address)) name = std::move(*known);
  const Authority place{name.empty() ? address.to_string() : name.str(), port};
  const auto mapped = map_.find(place.to_string());
  if (!mapped) return others_.judge(key);
  Verdict verdict{.allowed = true, .name = std::move(name), .rule = rule};
  verdict.target = {key.protocol, {IpAddress::v4(127, 0, 0, 1), *mapped}, {}, key.source};
  return verdict;
}

}  // namespace nsrun
