#pragma once

#include "host/listen/listener.h"
#include "host/tunnel/tunnel_session.h"

namespace nsrun {

// In JSON a stream that is not read is reset in the end: the kernel socket that takes what it reads (-1:
// none) reports early that it takes more, so that a slow reader is not taken for one that has stopped.
void show_slow_reads(int socket);

// A stream that the far side of a tunnel asks for, in front of a Carrier.
class IncomingStreamRequest final : public Request {
 public:
  IncomingStreamRequest(FlowKey key, SharedText asker, std::unique_ptr<IncomingStream> arrival)
      : key_(std::move(key)), asker_(std::move(asker)), arrival_(std::move(arrival)) {}

  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  std::optional<Task<>> prepare(const Connection& far, bool) override {
    if (!arrival_->is_binary()) show_slow_reads(far.carrier_socket());
    return std::nullopt;
  }
  std::unique_ptr<Connection> accept() override { return arrival_->accept(); }
  void refuse(Refusal how) override { arrival_->refuse(tunnel::reason_for(how)); }

 private:
  const FlowKey key_;
  const SharedText asker_;
  const std::unique_ptr<IncomingStream> arrival_;
};

// The same for one that was accepted already, because its first bytes decide how it is carried.
class AcceptedStreamRequest final : public ConnectionRequest {
 public:
  AcceptedStreamRequest(FlowKey key, SharedText asker, std::unique_ptr<Connection> near, bool is_binary)
      : ConnectionRequest(std::move(key), std::move(asker), std::move(near)), is_binary_(is_binary) {}

  std::optional<Task<>> prepare(const Connection& far, bool) override {
    if (!is_binary_) show_slow_reads(far.carrier_socket());
    return std::nullopt;
  }

 private:
  const bool is_binary_;
};

}  // namespace nsrun
