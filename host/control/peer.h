#pragma once

#include <sys/types.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Who is at the other end of a unix socket, as the kernel knows it.
//
// A path is not closed by a network namespace, and a guest has its user's files: it can open the control
// socket whatever its mode. What it cannot do is leave its user namespace. So the process that speaks must be
// in ours, the very one: neither below (the sandbox, and what it makes) nor beside. Whatever cannot be found
// out is a no.

// Has the kernel tell the sender of each message on this socket.
void ask_for_senders(int socket);

// Bytes of one sender. Descriptors that came along are closed.
struct Received {
  ssize_t size = 0;  // as recvmsg(2)
  pid_t sender = 0;  // 0: the kernel did not say
  UniqueFd pidfd;    // of the sender, where the kernel gives it (Linux 6.5)
};
Received receive_from_sender(int socket, void* into, std::size_t size);

// That the sender's process is in our user namespace. Nothing, or why it is not heard.
Result<void> check_sender(const Received& received);
// Likewise, of whoever connected, or for a client of whoever listens.
Result<void> check_peer(int socket);

}  // namespace nsrun
