#pragma once

#include "host/tunnel/tunnel_session.h"

namespace nsrun {

// A stream that the far side of a tunnel asks for, in front of a Carrier.
class ArrivalRequest final : public Request {
 public:
  ArrivalRequest(FlowKey key, SharedText asker, std::unique_ptr<TunnelArrival> arrival)
      : key_(std::move(key)), asker_(std::move(asker)), arrival_(std::move(arrival)) {}

  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  std::unique_ptr<Connection> accept() override { return arrival_->accept(); }
  void refuse(Refusal how) override { arrival_->refuse(tunnel::reason_for(how)); }

 private:
  const FlowKey key_;
  const SharedText asker_;
  const std::unique_ptr<TunnelArrival> arrival_;
};

}  // namespace nsrun
