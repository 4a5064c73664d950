#include "host/services/vsock/vsock_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "host/text/read_settings.h"
#include "host/text/url_text.h"
#include "host/text/yaml_list.h"

namespace nsrun {
namespace {

using Text = YamlEvents::Text;

constexpr std::array tunnel_keys = {"name",         "handshake-port", "vsock-host-port",
                                    "peer-address", "peer-port",      "upstream-server-address"};
constexpr auto known_tunnel_keys =
    "a tunnel has name, handshake-port, vsock-host-port, peer-address, peer-port and upstream-server-address";
constexpr auto known_tunnel_top = "its one key is tunnel, a list";

// What two tunnels must not both have.
constexpr std::array unique_keys = {"name", "handshake-port", "vsock-host-port"};

// One entry of `tunnel`, as it was written.
struct Entry {
  TextPlace place;
  std::array<std::optional<Text>, tunnel_keys.size()> values = {};

  const Text& at(std::string_view key) const {
    return *values[static_cast<std::size_t>(std::ranges::find(tunnel_keys, key) - tunnel_keys.begin())];
  }
};

class VsockConfigReader {
 public:
  VsockConfigReader(std::string_view text, const std::string& name) : events_(text, name) {}

  Result<std::vector<VsockTunnel>> read() {
    const auto read_one = [this](const TextPlace& place) -> Result<void> {
      auto entry = read_entry(place);
      if (!entry) return entry.error();
      return add(*entry);
    };
    if (auto done =
            read_yaml_list(events_, {"tunnel", "tunnel", known_tunnel_top, known_tunnel_keys}, read_one);
        !done)
      return done.error();
    return std::move(tunnels_);
  }

 private:
  Result<Entry> read_entry(const TextPlace& place) {
    Entry entry{place};
    for (;;) {
      auto key = events_.next_key("a tunnel", known_tunnel_keys);
      if (!key) return key.error();
      if (!*key) break;
      const auto known = std::ranges::find(tunnel_keys, std::string_view((*key)->text));
      if (known == tunnel_keys.end())
        return events_.wrong_key(**key, "there is no such key", known_tunnel_keys);
      auto& value = entry.values[static_cast<std::size_t>(known - tunnel_keys.begin())];
      if (value) return events_.wrong_key(**key, "is said twice", "begin a new tunnel with -");
      auto text = events_.scalar(**key, "it is a text or a number");
      if (!text) return text.error();
      value = std::move(*text);
    }
    for (std::size_t i = 0; i < tunnel_keys.size(); ++i)
      if (!entry.values[i])
        return events_.wrong(place, "this tunnel has no " + std::string(tunnel_keys[i]), known_tunnel_keys);
    return entry;
  }

  Result<void> add(const Entry& entry) {
    VsockTunnel tunnel;
    tunnel.name = entry.at("name").text;
    if (tunnel.name.empty() || has_control_character(tunnel.name))
      return wrong(entry, "name", "is empty, or has a control character", "give the tunnel a name");
    if (auto taken = take_port(tunnel.handshake_port, entry, "handshake-port"); !taken) return taken;
    if (auto taken = take_port(tunnel.host_port, entry, "vsock-host-port"); !taken) return taken;
    const auto& address = entry.at("peer-address").text;
    const auto parsed = IpAddress::parse(address);
    if (!parsed)
      return wrong(entry, "peer-address", "'" + address + "' is not a valid IP address",
                   "for instance 127.0.0.1; 0.0.0.0 is all addresses");
    const auto port = parse_port(entry.at("peer-port").text);
    if (!port)
      return wrong(entry, "peer-port", "'" + entry.at("peer-port").text + "' is not a valid port",
                   "it is 1 to 65535");
    tunnel.peer = {*parsed, *port};
    if (auto taken = take_upstream(tunnel.upstream, entry); !taken) return taken;
    if (auto alone = check_unique(entry, tunnel); !alone) return alone;
    entries_.push_back(entry);
    tunnels_.push_back(std::move(tunnel));
    return {};
  }

  Result<void> take_port(std::uint32_t& into, const Entry& entry, const char* key) {
    const auto& text = entry.at(key).text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (error == std::errc{} && end == text.data() + text.size() && into > 0 && into < 0xffff'ffff) return {};
    return wrong(entry, key, "'" + text + "' is not a valid vsock port",
                 "it is a number from 1 to 4294967294");
  }

  Result<void> take_upstream(EndpointUrl& into, const Entry& entry) {
    constexpr std::string_view pipe = "npipe://";
    const auto& text = entry.at("upstream-server-address").text;
    const auto scheme = scheme_of(text);
    auto url = EndpointUrl::parse(scheme == "npipe"  ? "unix://" + text.substr(pipe.size())
                                  : scheme == "unix" ? text
                                                     : "tcp://" + text);
    if (url && url->options.empty() && !(url->is_ip() && (url->host.empty() || url->port == 0))) {
      into = std::move(*url);
      return {};
    }
    return wrong(entry, "upstream-server-address", "'" + text + "' is not a valid server address",
                 "write IP:PORT, unix:///PATH or npipe:///PATH");
  }

  // `port`s are numbers, however they are written.
  Result<void> check_unique(const Entry& entry, const VsockTunnel& tunnel) {
    for (std::size_t i = 0; i < tunnels_.size(); ++i) {
      const auto& other = tunnels_[i];
      const std::array same = {other.name == tunnel.name, other.handshake_port == tunnel.handshake_port,
                               other.host_port == tunnel.host_port};
      for (std::size_t k = 0; k < unique_keys.size(); ++k)
        if (same[k]) return taken(entry, unique_keys[k], i);
      const bool covers = other.peer.address == tunnel.peer.address || other.peer.address.is_unspecified() ||
                          tunnel.peer.address.is_unspecified();
      if (covers && other.peer.port == tunnel.peer.port) return taken(entry, "peer-port", i);
    }
    return {};
  }

  Error taken(const Entry& entry, const char* key, std::size_t other) {
    return wrong(entry, key, "'" + entry.at(key).text + "' is that of '" + tunnels_[other].name + "', too",
                 "line " + std::to_string(entries_[other].place.line) + "; each tunnel has its own");
  }

  Error wrong(const Entry& entry, const char* key, const std::string& what, std::string advice) {
    return events_.wrong(entry.at(key).place, std::string(key) + ": " + what, std::move(advice));
  }

  YamlEvents events_;
  std::vector<Entry> entries_;
  std::vector<VsockTunnel> tunnels_;  // of the entries
};

}  // namespace

Result<std::vector<VsockTunnel>> parse_vsock_config(std::string_view text, const std::string& name) {
  return VsockConfigReader(text, name).read();
}

Result<std::vector<VsockTunnel>> read_vsock_config(const std::string& path) {
  const auto text = read_settings("the configuration", path, max_vsock_config);
  if (!text) return text.error();
  return parse_vsock_config(*text, path);
}

}  // namespace nsrun
