#include "host/tunnel/frame.h"

#include <cerrno>

namespace nsrun::tunnel {

int errno_of(Reason reason) {
  switch (reason) {
    case Reason::failed:
      return EIO;
    case Reason::refused:
      return ECONNREFUSED;
    case Reason::host_unreachable:
      return EHOSTUNREACH;
    case Reason::network_unreachable:
      return ENETUNREACH;
    case Reason::prohibited:
      return EACCES;
    case Reason::timed_out:
      return ETIMEDOUT;
    case Reason::unsupported:
      return EPROTONOSUPPORT;
  }
  return EIO;
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::failed:
      return "failed";
    case Reason::refused:
      return "refused";
    case Reason::host_unreachable:
      return "host unreachable";
    case Reason::network_unreachable:
      return "network unreachable";
    case Reason::prohibited:
      return "not permitted";
    case Reason::timed_out:
      return "timed out";
    case Reason::unsupported:
      return "protocol not supported";
  }
  return "failed";
}

Reason reason_for(Refusal how) {
  switch (how) {
    case Refusal::reset:
      return Reason::refused;
    case Refusal::host_unreachable:
      return Reason::host_unreachable;
    case Refusal::network_unreachable:
      return Reason::network_unreachable;
    case Refusal::prohibited:
      return Reason::prohibited;
    case Refusal::drop:
      return Reason::timed_out;
  }
  return Reason::failed;
}

}  // namespace nsrun::tunnel
