#pragma once

#include <optional>

#include "runtime/connection.h"

namespace nsrun {

// A connection that is a kernel socket: TCP, unix, vsock, connected UDP, ping.
class SocketConnection final : public Connection {
 public:
  // `socket` is connected and non-blocking.
  SocketConnection(Executor executor, UniqueFd socket, Transport transport = Transport::stream);
  ~SocketConnection() override;

  Transport transport() const override { return transport_; }
  // On a datagram socket the kernel's asynchronous errors come here: ECONNREFUSED after an ICMP port
  // unreachable. A datagram longer than `into` is cut.
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;

  int socket() const override { return socket_.get(); }
  UniqueFd release_socket() override;

 private:
  Task<> give_way();
  Task<Result<void>> wait(Descriptor::wait_type what, const char* doing);
  void forget();

  Executor executor_;
  UniqueFd socket_;
  const Transport transport_;
  std::optional<Descriptor> waiter_;  // borrows socket_
  unsigned calls_ = 0;                // since the last turn was given
};

}  // namespace nsrun
