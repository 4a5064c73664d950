#pragma once

#include "runtime/task.h"

namespace nsrun {

// A Connection of datagrams that can tell when the next one is there, so that nobody has to hold room for the
// largest one while nothing comes. Its read() does not wait then.
class DatagramSource {
 public:
  // Until there is a datagram, an error or the end; read() tells which.
  virtual Task<> datagram_ready() = 0;

 protected:
  ~DatagramSource() = default;
};

}  // namespace nsrun
