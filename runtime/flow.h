#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/address.h"

// What a flow is called, where it is to go, and how it ended. Its record: flow_record.h.

namespace nsrun {

enum class Protocol : std::uint8_t { tcp, udp, icmp };
std::string_view to_string(Protocol protocol);

// Who asked for a flow.
enum class Asker : std::uint8_t {
  guest,
  client,          // of a published port, or of a forward that leads into the sandbox
  forwarded,       // a client of whatever is forwarded past the guest, or where there is none
  guest_forwarded  // the guest, of a forward that listens in the sandbox: not for the rules to judge
};
constexpr bool is_guest(Asker asker) { return asker == Asker::guest || asker == Asker::guest_forwarded; }

// Who asks for what. For icmp (echo) the source's port is the echo identifier and the target's port is 0.
struct FlowKey {
  Protocol protocol = Protocol::tcp;
  Endpoint source;  // the guest's, or for a published port the client's
  Endpoint target;  // as the asker addressed it
  auto operator<=>(const FlowKey&) const = default;
};

// Whether an address that a name resolved to may be dialled. Empty: all may.
using AddressCheck = std::function<bool(const IpAddress&)>;

class Faults;  // host/faults

// Where a dialer is to go: an address, or a name that the dialer (or a proxy behind it) resolves.
struct Target {
  Protocol protocol = Protocol::tcp;
  Endpoint endpoint;  // its address is meaningless when `name` is set
  // A canonical host name, or of an endpoint that is none of IP its URL; empty: `endpoint` says all.
  std::string name;
  Endpoint source = {};  // who asks; used only by dialers that can keep a source address
  bool mapped = false;   // IPv4 by way of an IPv6 socket, which shows it as ::ffff:a.b.c.d; where it is easy

  // Asked of each address that `name` resolves to here, before it is dialled.
  AddressCheck permits = {};
  // Told of each as it is dialled, as a target of its own.
  std::function<void(const Target&)> resolved = {};
  std::string via = {};                      // the URL of the dialer to take; empty: the sandbox's
  std::shared_ptr<Faults> faults = nullptr;  // what goes wrong on the way; null: nothing

  // The kernel socket at which who asks waits meanwhile, or -1: for dialers that take their time.
  int asker = -1;

  std::string host() const;       // the name, or the address as text
  std::string to_string() const;  // "tcp/192.0.2.1:80", "tcp/example.org:80"
};

// How a request is turned down, as the asker will see it.
enum class Refusal : std::uint8_t {
  reset,                // RST for TCP, port unreachable otherwise: nobody listens there
  host_unreachable,     // ICMP
  network_unreachable,  // ICMP
  prohibited,           // ICMP administratively prohibited
  drop,                 // silence
};

// How a flow ended, as the log says it.
enum class FlowEnd : std::uint8_t {
  open,
  closed,
  reset_by_source,
  reset_by_target,
  idle,
  refused,
  failed,
  sandbox_ended,
  policy,   // cut off: a new policy refuses it, or its user did (host/control)
  injected  // the guest got the far socket itself: what it moves there is not seen here
};
std::string_view to_string(FlowEnd end);

}  // namespace nsrun

template <>
struct std::hash<nsrun::FlowKey> {
  std::size_t operator()(const nsrun::FlowKey& key) const noexcept;
};
