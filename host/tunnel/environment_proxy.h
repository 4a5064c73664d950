#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace nsrun {

// The variable's value; null where there is none.
using Environment = std::function<const char*(const char* name)>;

// The proxy by which the environment wants `host` (a name or an address) to be reached, as a dialer's URL
// (host/dialers/proxy_dialer.h); empty: none. HTTPS_PROXY or https_proxy for TLS, else http_proxy or HTTP_PROXY;
// NO_PROXY or no_proxy has names (with all below them), addresses, networks, or *. Loopback never has one.
std::string proxy_of_environment(bool tls, const std::string& host);
std::string proxy_of_environment(bool tls, const std::string& host, const Environment& environment);

}  // namespace nsrun
