#pragma once

#include <optional>

#include "runtime/connection.h"
#include "runtime/datagram_route.h"
#include "runtime/datagram_source.h"
#include "runtime/delivery_error.h"

namespace nsrun {

// A connection that is a kernel socket: TCP, unix, vsock, connected UDP, ping.
class SocketConnection final : public Connection, public DatagramEnd, public DatagramSource {
 public:
  // `socket` is connected and non-blocking.
  SocketConnection(Executor executor, UniqueFd socket, Transport transport = Transport::stream);
  ~SocketConnection() override;

  Transport transport() const override { return transport_; }
  Task<> datagram_ready() override;
  // On a datagram socket the kernel's asynchronous errors come here: ECONNREFUSED after an ICMP port
  // unreachable; next_undelivered() says more about each. A datagram longer than `into` is cut.
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;

  int socket() const override { return socket_.get(); }
  UniqueFd release_socket() override;
  std::optional<DeliveryError> next_undelivered() override;

 private:
  Task<> give_way();
  Task<Result<void>> wait(Descriptor::wait_type what, const char* doing);
  void follow_route();
  Error failed(int error, const char* doing);
  void forget();

  Executor executor_;
  UniqueFd socket_;
  const Transport transport_;
  std::optional<Descriptor> waiter_;      // borrows socket_
  std::unique_ptr<DatagramRoute> route_;  // of datagrams that are written here
  std::vector<DeliveryError> lost_;       // since the last read or write that failed
  int error_ = 0;                         // that datagram_ready() took from the socket
  unsigned calls_ = 0;                    // since the last turn was given
};

}  // namespace nsrun
