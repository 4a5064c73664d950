#pragma once

#include <functional>
#include <map>

#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// Whether who is at the other end of this connected socket has gone. Nothing is read: what was sent before is
// for whoever is dialled. So one who has sent something and then finished is still there, and waits for an
// answer: TCP does not tell that from going; TLS does.
bool has_left(int socket);

// Watches sockets for that.
class PeerCloseWatcher {
 public:
  // Throws ErrorException where there is no epoll instance to be had.
  explicit PeerCloseWatcher(Executor executor);

  // `left` is called once, from run(), until forget(). The socket stays open until then, and may be in other
  // epoll sets.
  void watch(int socket, std::function<void()> left);
  void forget(int socket);
  Task<> run();

 private:
  Descriptor epoll_;
  std::map<int, std::function<void()>> watched_;
};

}  // namespace nsrun
