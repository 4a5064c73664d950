#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/dialers/socks5.h"
#include "runtime/connection.h"

namespace nsrun {

// Datagrams to one target through a SOCKS5 proxy's relay.
class Socks5Association final : public Connection {
 public:
  // `control` is the connection that asked for the association, `relay` exchanges datagrams with the proxy's
  // relay, `header` is datagram_header(target).
  Socks5Association(std::unique_ptr<Connection> control, std::unique_ptr<Connection> relay,
                    socks5::Address target, std::string header);

  Transport transport() const override { return Transport::datagram; }
  Task<Result<Chunk>> read(MutableBytes into) override;
  // A datagram that does not fit a UDP datagram with the header is lost, as on any path too narrow for it:
  // over IPv4, to an IPv4 target, one of more than 65,497 bytes.
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override {}
  void reset() override;

 private:
  Task<> receive();
  Task<> control_end();
  bool is_from_target(const socks5::Address& from) const;

  std::unique_ptr<Connection> control_, relay_;
  const socks5::Address target_;
  const std::string header_;
  std::vector<std::byte> incoming_, outgoing_;  // a datagram with its header
  std::optional<Result<Chunk>> received_;
  bool ended_ = false;
};

}  // namespace nsrun
