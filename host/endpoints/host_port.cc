#include "host/endpoints/host_port.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>

#include "host/text/url_text.h"

namespace nsrun {
namespace {

// The URL with a service's name replaced by its number; as it is where there is no such name.
std::string with_number(std::string url) {
  const auto begin = url.find("://") + 3;
  const auto end = std::min(url.find_first_of("/?#", begin), url.size());
  const auto colon = url.rfind(':', end);
  const auto bracket = url.rfind(']', end);
  if (colon < begin || colon == url.npos || (bracket != url.npos && bracket > colon)) return url;
  const std::string name = url.substr(colon + 1, end - colon - 1);
  if (name.empty() || std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) return url;
  const servent* service = ::getservbyname(name.c_str(), url.starts_with("udp") ? "udp" : "tcp");
  if (!service) return url;
  return url.replace(colon + 1, name.size(),
                     std::to_string(ntohs(static_cast<std::uint16_t>(service->s_port))));
}

}  // namespace

Result<EndpointUrl> listened_endpoint(std::string_view text) {
  const std::string url = (scheme_of(text).empty() ? "tcp://" : "") + std::string(text);
  return EndpointUrl::parse(with_number(url));
}

Result<EndpointUrl> dialled_endpoint(std::string_view text) {
  auto endpoint = listened_endpoint(text);
  if (!endpoint || !endpoint->is_ip() || !endpoint->host.empty()) return endpoint;
  // In its text, too, which rules are made of.
  std::string url = endpoint->text;
  return EndpointUrl::parse(url.insert(url.find("://") + 3, "localhost"));
}

}  // namespace nsrun
