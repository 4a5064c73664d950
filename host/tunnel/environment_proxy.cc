#include "host/tunnel/environment_proxy.h"

#include <cstdlib>
#include <optional>

#include "host/text/words.h"
#include "runtime/address.h"

namespace nsrun {
namespace {

std::string first_of(const Environment& environment, const char* one, const char* other) {
  for (const char* name : {one, other})
    if (const char* value = environment(name); value && *value) return value;
  return {};
}

bool excepts(std::string_view entry, const std::string& host, const std::optional<IpAddress>& address) {
  if (entry == "*") return true;
  if (address) {
    const auto network = Cidr::parse(entry);
    return network && network->contains(*address);
  }
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  const auto bare = entry.starts_with('.') ? entry.substr(1) : entry;
  return host == bare ||
         (host.size() > bare.size() && host.ends_with(bare) && host[host.size() - bare.size() - 1] == '.');
}

bool is_excepted(const std::string& host, std::string_view list) {
  const auto address = IpAddress::parse(host);
  if (host == "localhost" || (address && address->is_loopback())) return true;
  while (!list.empty()) {
    const auto entry = trimmed(list.substr(0, list.find(',')));
    list.remove_prefix(std::min(list.size(), list.substr(0, list.find(',')).size() + 1));
    if (!entry.empty() && excepts(entry, host, address)) return true;
  }
  return false;
}

}  // namespace

std::string proxy_of_environment(bool tls, const std::string& host, const Environment& environment) {
  std::string proxy = tls ? first_of(environment, "HTTPS_PROXY", "https_proxy")
                          : first_of(environment, "http_proxy", "HTTP_PROXY");
  if (proxy.empty() || is_excepted(host, first_of(environment, "NO_PROXY", "no_proxy"))) return {};
  if (proxy.find("://") == proxy.npos) proxy = "http://" + proxy;
  return proxy;
}

std::string proxy_of_environment(bool tls, const std::string& host) {
  return proxy_of_environment(tls, host, [](const char* name) { return std::getenv(name); });
}

}  // namespace nsrun
