#include "host/flow/dialer.h"

namespace nsrun {

Refusal refusal_for(const Error& error) {
  switch (error.code.value()) {
    case ENETUNREACH:
    case ENETDOWN:
      return Refusal::network_unreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return Refusal::host_unreachable;
    case EACCES:
    case EPERM:
    case EPROTONOSUPPORT:
      return Refusal::prohibited;
    // The host's own connect gave up after its last SYN; the guest's is about to, by itself.
    case ETIMEDOUT:
      return Refusal::drop;
    // Out of descriptors or memory on our side: not the target's word, but the only one that ends the wait.
    default:
      return Refusal::reset;
  }
}

}  // namespace nsrun
