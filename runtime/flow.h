#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/address.h"

// What a flow is called, and what became of it.

namespace nsrun {

enum class Protocol : std::uint8_t { tcp, udp, icmp };
std::string_view to_string(Protocol protocol);

// Who asked for a flow: the guest, or a client of a published port.
enum class Asker : std::uint8_t { guest, client };

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
  Endpoint endpoint;     // its address is meaningless when `name` is set
  std::string name;      // canonical host name; empty: `endpoint` says all
  Endpoint source = {};  // who asks; used only by dialers that can keep a source address
  bool mapped = false;   // IPv4 by way of an IPv6 socket, which shows it as ::ffff:a.b.c.d; where it is easy

  // Asked of each address that `name` resolves to here, before it is dialled.
  AddressCheck permits = {};
  // Told of each as it is dialled, as a target of its own.
  std::function<void(const Target&)> resolved = {};
  std::string via = {};                      // the URL of the dialer to take; empty: the sandbox's
  std::shared_ptr<Faults> faults = nullptr;  // what goes wrong on the way; null: nothing

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
  injected  // the guest got the far socket itself: what it moves there is not seen here
};
std::string_view to_string(FlowEnd end);

// A number that one thread changes and any may read.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) : value_(other) {}
  Counter& operator=(const Counter& other) { return value_.store(other, std::memory_order_relaxed), *this; }
  operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }
  void operator+=(std::uint64_t by) { value_.store(*this + by, std::memory_order_relaxed); }
  void operator-=(std::uint64_t by) { value_.store(*this - by, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// Totals since the start, over live and ended flows. Up is away from the one who asked.
struct Counters {
  struct Stream {
    Counter connections, bytes_up, bytes_down;
  } tcp;
  struct Datagram {
    Counter flows, packets_up, packets_down, bytes_up, bytes_down;
  } udp, icmp;
  // Live relays (not counting flows that the stack carries by itself) on which the guest has not finished.
  Counter relays_from_guest;

  Counters& operator+=(const Counters& other);
};

class Events;

// The record of one flow. It reports the flow's end to `events` when it goes, so whoever holds the flow
// holds its record.
class FlowRecord {
 public:
  FlowRecord(std::uint64_t id, const FlowKey& key, Events& events, Counters& totals,
             Asker asker = Asker::guest);
  ~FlowRecord();
  FlowRecord(const FlowRecord&) = delete;

  // On the data path: one call for each batch moved, not for each packet.
  void moved_up(std::uint64_t bytes, std::uint64_t packets = 1);
  void moved_down(std::uint64_t bytes, std::uint64_t packets = 1);
  // A relay carries this flow's stream, until the guest has finished and all it sent was passed on.
  void relayed_from_guest();
  void guest_finished();
  // From here on another thread carries the flow, whose totals these are.
  void carried_by(Counters& totals) { totals_ = &totals; }
  // The first end that is named stands; one that goes without a name was cut off with its sandbox.
  void ended(FlowEnd how) {
    if (end == FlowEnd::open) end = how;
  }

  const std::uint64_t id;
  const FlowKey key;
  const Asker asker;
  std::string name;     // the host name the source meant, where it is known
  std::string dialled;  // Target::to_string() of what was dialled; its address where a name is resolved here
  std::string rule;     // which rule decided
  std::string why;      // the error behind a refusal or a failure
  bool allowed = false;
  bool rejected = false;  // refused with an answer (allowed and rejected false: dropped)
  Counter bytes_up, bytes_down, packets_up, packets_down;
  FlowEnd end = FlowEnd::open;
  const std::chrono::system_clock::time_point began = std::chrono::system_clock::now();
  const std::chrono::steady_clock::time_point began_steady = std::chrono::steady_clock::now();

 private:
  Events& events_;
  Counters* totals_;
  bool relayed_from_guest_ = false;
};

// What happens, for those who keep a record of it. Called on the loop's thread, or with several queues on the
// thread of any, one call at a time; must not block for long.
class Events {
 public:
  virtual ~Events() = default;
  virtual void flow_ended(const FlowRecord&) {}
  virtual void warning(const std::string&) {}
};

}  // namespace nsrun

template <>
struct std::hash<nsrun::FlowKey> {
  std::size_t operator()(const nsrun::FlowKey& key) const noexcept;
};
