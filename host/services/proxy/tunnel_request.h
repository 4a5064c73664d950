#pragma once

#include "host/services/proxy/proxy_client.h"

namespace nsrun {

// What a client asks for with CONNECT. It is told so when the far side has answered; its connection then is
// the flow's, with what it has said already before the rest. Refused, it is given back.
class TunnelRequest final : public Request {
 public:
  TunnelRequest(FlowKey key, SharedText asker, ProxyClient client, std::shared_ptr<ClientLease> lent)
      : key_(std::move(key)), asker_(std::move(asker)), client_(std::move(client)), lent_(std::move(lent)) {}
  ~TunnelRequest() override { refuse(Refusal::drop); }

  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  std::optional<Task<>> prepare(const Connection& far, bool inspected) override;
  std::unique_ptr<Connection> accept() override;
  void refuse(Refusal how) override;

 private:
  Task<> say_established();

  const FlowKey key_;
  const SharedText asker_;
  ProxyClient client_;
  const std::shared_ptr<ClientLease> lent_;
};

}  // namespace nsrun
