#include "host/sandbox/published_port.h"

#include <optional>

#include "host/text/port_range.h"

namespace nsrun {
namespace {

Error wrong_port(std::string_view text, const char* what) {
  return {"cannot publish '" + std::string(text) + "': " + what,
          {},
          "write [[ADDRESS:]HOST_PORT:]GUEST_PORT[/tcp|/udp], for instance 8080:80 or 127.0.0.1:5353:53/udp",
          ExitCode::usage};
}

}  // namespace

Result<std::vector<PublishedPort>> parse_publish(std::string_view text) {
  std::string_view rest = text;
  Protocol protocol = Protocol::tcp;
  if (const auto slash = rest.rfind('/'); slash != rest.npos) {
    const auto name = rest.substr(slash + 1);
    if (name != "tcp" && name != "udp") return wrong_port(text, "the protocol is neither tcp nor udp");
    if (name == "udp") protocol = Protocol::udp;
    rest = rest.substr(0, slash);
  }
  const auto last = rest.rfind(':');
  const auto guest = PortRange::parse(rest.substr(last == rest.npos ? 0 : last + 1));
  if (!guest) return wrong_port(text, "the sandbox's port is not a port (1-65535) or range of ports");
  PortRange host = *guest;
  std::optional<IpAddress> address;
  if (last != rest.npos) {
    rest = rest.substr(0, last);
    const auto colon = rest.find(']') == rest.npos ? rest.rfind(':') : rest.find(':', rest.find(']'));
    const auto ports = PortRange::parse(rest.substr(colon == rest.npos ? 0 : colon + 1));
    if (!ports) return wrong_port(text, "the host's port is not a port (1-65535) or range of ports");
    host = *ports;
    if (colon != rest.npos) {
      auto where = rest.substr(0, colon);
      if (where.size() > 2 && where.front() == '[' && where.back() == ']')
        where = where.substr(1, where.size() - 2);
      const auto parsed = IpAddress::parse(where);
      if (!parsed) return wrong_port(text, "the host's address is not an IP address");
      address = *parsed;
    }
  }
  if (host.size() != guest->size()) return wrong_port(text, "the two ranges of ports differ in length");
  std::vector<PublishedPort> ports;
  for (unsigned i = 0; i < host.size(); ++i)
    ports.push_back({protocol, address, static_cast<std::uint16_t>(host.first + i),
                     static_cast<std::uint16_t>(guest->first + i)});
  return ports;
}

}  // namespace nsrun
