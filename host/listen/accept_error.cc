#include "host/listen/accept_error.h"

#include <cerrno>

namespace nsrun {

// accept(2), "Errors" and "Error handling": errors of the network are those of the client that was next.
AcceptError accept_error(int number) {
  switch (number) {
    case EAGAIN:
      return AcceptError::none_waiting;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return AcceptError::without_resources;
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
      return AcceptError::of_one_client;
    default:
      return AcceptError::not_listening;
  }
}

}  // namespace nsrun
