#pragma once

#include <sys/socket.h>

namespace nsrun {

// setsockopt(2) of an int that is not worth failing for.
inline void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);
}

}  // namespace nsrun
