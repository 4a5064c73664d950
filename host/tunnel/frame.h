#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/connection.h"

namespace nsrun::tunnel {

// The subprotocol of our own wire (RFC 6455 1.9). Without it a tunnel speaks JSON.
constexpr std::string_view subprotocol = "nsrun.tunnel.v1";

// Why an open failed, as the binary wire has it.
enum class Reason : std::uint8_t {
  failed = 0,
  refused = 1,
  host_unreachable = 2,
  network_unreachable = 3,
  prohibited = 4,
  timed_out = 5,
  unsupported = 6,
};
int errno_of(Reason reason);
std::string_view to_string(Reason reason);
Reason reason_for(Refusal how);

// One statement of either wire. docs/tunnel.md says what each means; which fields a kind has is beside it.
struct Frame {
  enum class Type : std::uint8_t {
    none = 0,        // of a message that says nothing to us
    listen = 1,      // listener, port, protocol, text: the client's own address
    listen_ok = 2,   // listener, port
    listen_err = 3,  // listener, port (JSON), text: why
    unlisten = 4,    // listener; binary only
    connect = 5,     // stream, listener or port, protocol, window, text: who asks
    open = 6,        // stream, window, text: "tcp/host:port"; binary only
    open_ok = 7,     // stream, window; binary only
    open_err = 8,    // stream, reason, text; binary only
    data = 9,        // stream, bytes
    datagram = 10,   // stream, bytes; binary only
    credit = 11,     // stream, window; binary only
    finish = 12,     // stream; binary only
    reset = 13,      // stream; binary only
    ping = 14,       //
    pong = 15,       //
    close = 16,      // stream, both ways; JSON only
  };

  Type type = Type::none;
  std::uint32_t stream = 0;
  std::uint32_t listener = 0;  // JSON has none: there a listener goes by its port
  std::uint32_t window = 0;    // bytes
  std::uint16_t port = 0;
  std::int64_t odd_port =
      0;  // JSON: of a listen, and its answer, in place of `port`: a number that is not a port
  Protocol protocol = Protocol::tcp;
  Reason reason = Reason::failed;
  std::string text = {};
  std::string bytes = {};  // of data that came
};

}  // namespace nsrun::tunnel
