#pragma once

#include <cstdint>
#include <optional>

#include "lwip/tcp.h"
#include "runtime/bytes.h"

namespace nsrun {

// What stands between the guest's bytes and lwIP's assertions, each of which would end the process, and with
// it the network of every sandbox in it. One for each flow.
class TcpGuard {
 public:
  // Makes a TCP segment fit for lwIP: options, FIN and the data's length may change. False: drop it.
  bool admit(const tcp_pcb& pcb, MutableBytes& segment);

 private:
  std::optional<std::uint32_t> fin_;  // the sequence number at which the guest's stream ends
};

// After lwIP has taken a segment: sets right what its persist timer takes for granted.
void settle_persist_timer(tcp_pcb& pcb);

}  // namespace nsrun
