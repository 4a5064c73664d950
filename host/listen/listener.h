#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "runtime/connection.h"
#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// Who connected, and how the log is to call it where that is no IP endpoint: "vsock://3:1025", "unix: uid
// 1000, pid 4711".
struct Client {
  Endpoint address;
  SharedText name;
  std::optional<std::uint32_t> cid = {};  // of vsock(7)
};

// Where the clients of a listening socket go.
struct ClientSink {
  std::function<FlowKey(const Client&)> key;  // what a client asks for by coming here
  RequestSink request;
  std::function<bool(const Client&)> admits = {};  // others are closed at once; empty: all may come
  std::function<void(const Error&)> trouble;  // no client gets in, and what to do about it; again each time
  std::string place = {};                     // for trouble: "the published port 8080"
};

// A request of one who has a connection already: what is accepted is that; refused, it is reset.
class ConnectionRequest : public Request {
 public:
  ConnectionRequest(FlowKey key, SharedText asker, std::unique_ptr<Connection> connection)
      : key_(std::move(key)), asker_(std::move(asker)), connection_(std::move(connection)) {}
  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  int socket() const override { return connection_ ? connection_->carrier_socket() : -1; }
  std::unique_ptr<Connection> accept() override { return std::move(connection_); }
  void refuse(Refusal) override {
    if (connection_) connection_->reset();
    connection_.reset();
  }

 private:
  const FlowKey key_;
  const SharedText asker_;
  std::unique_ptr<Connection> connection_;
};

// Sources of requests, until cancelled: one for each client of the listening stream socket (TCP, unix, vsock)
// …
Task<> accept_streams(Executor executor, int socket, ClientSink sink);
// … and for each sender to the bound datagram socket (UDP, unix). One whose flow has ended is a new one when
// it sends again.
Task<> receive_datagrams(Executor executor, int socket, ClientSink sink);
// As accept_streams, for those who want the sockets: they have accepted the client when they are called.
using StreamSink = std::function<void(Client client, UniqueFd socket)>;
Task<> accept_sockets(Executor executor, int socket, StreamSink take, ClientSink sink);

}  // namespace nsrun
