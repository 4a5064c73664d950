#pragma once

#include <functional>

#include "host/tunnel/tunnel_session.h"

namespace nsrun {

// What a flow's end is wrapped in; empty: nothing.
using WrapConnection = std::function<std::unique_ptr<Connection>(std::unique_ptr<Connection>)>;

// A stream that the far side of a tunnel asks for, in front of a Carrier.
class ArrivalRequest final : public Request {
 public:
  ArrivalRequest(FlowKey key, SharedText asker, std::unique_ptr<TunnelArrival> arrival,
                 WrapConnection wrap = {})
      : key_(std::move(key)),
        asker_(std::move(asker)),
        arrival_(std::move(arrival)),
        wrap_(std::move(wrap)) {}

  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  std::unique_ptr<Connection> accept() override {
    auto accepted = arrival_->accept();
    return accepted && wrap_ ? wrap_(std::move(accepted)) : std::move(accepted);
  }
  void refuse(Refusal how) override { arrival_->refuse(tunnel::reason_for(how)); }

 private:
  const FlowKey key_;
  const SharedText asker_;
  const std::unique_ptr<TunnelArrival> arrival_;
  const WrapConnection wrap_;
};

}  // namespace nsrun
