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
  // The same for the SYN that begins a flow, for which lwIP has no pcb yet.
  static void admit_first_syn(MutableBytes segment);

 private:
  bool fit_data(const tcp_pcb& pcb, MutableBytes& segment);

  std::optional<std::uint32_t> fin_;  // the sequence number at which the guest's stream ends
};

// Once, after the handshake and before anything is written: the largest segment does not shrink from here on.
void settle_largest_segment(tcp_pcb& pcb);

// After lwIP has taken a segment: sets right what its persist timer takes for granted.
void settle_persist_timer(tcp_pcb& pcb);

}  // namespace nsrun
