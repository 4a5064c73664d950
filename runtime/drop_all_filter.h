#pragma once

#include <linux/filter.h>
#include <sys/socket.h>

namespace nsrun {

// As long as it lives the socket receives nothing: while a datagram socket with a bound port has no peer,
// anybody could send to it, and what came stays after connect(2).
class DropAllFilter {
 public:
  explicit DropAllFilter(int socket) : socket_(socket) {
    sock_filter drop{BPF_RET | BPF_K, 0, 0, 0};
    const sock_fprog program{1, &drop};
    ::setsockopt(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  }
  ~DropAllFilter() {
    const int unused = 0;
    ::setsockopt(socket_, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
  }
  DropAllFilter(const DropAllFilter&) = delete;

 private:
  const int socket_;
};

}  // namespace nsrun
