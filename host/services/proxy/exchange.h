#pragma once

#include "host/services/proxy/proxied_request.h"
#include "host/services/proxy/proxied_response.h"
#include "host/services/proxy/proxy_client.h"

namespace nsrun {

// One request and its answer, as a stream: what is read is the request as the server is to have it, what is
// written is the server's answer. The stream ends when the answer is whole, and the client goes back.
class Exchange final : public Connection {
 public:
  Exchange(Executor executor, ProxiedRequest request, ProxyClient client, std::shared_ptr<ClientLease> lent);
  ~Exchange() override;

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;

 private:
  Task<Result<std::size_t>> body();
  Task<Result<void>> answer();
  Task<> read_on();
  Task<> watch_client();
  Task<Result<std::size_t>> answer_with(std::string_view bytes);
  void end();
  void give_back();

  ProxiedRequest request_;
  ProxiedResponse response_;
  ProxyClient client_;
  std::shared_ptr<ClientLease> lent_;  // null: the client was given back
  Signal over_;                        // nothing more comes from the server
  std::string held_;                   // of the answer: not understood yet
  std::size_t open_ = 0;  // bytes of client_.ahead that belong to the body, and were not read yet
  bool is_over_ = false, client_ended_ = false, client_broke_ = false, broken_ = false;
};

// What a client asks for without CONNECT.
class ExchangeRequest final : public Request {
 public:
  ExchangeRequest(Executor executor, FlowKey key, SharedText asker, ProxiedRequest request,
                  ProxyClient client, std::shared_ptr<ClientLease> lent)
      : executor_(executor),
        key_(std::move(key)),
        asker_(std::move(asker)),
        request_(std::move(request)),
        client_(std::move(client)),
        lent_(std::move(lent)) {}
  ~ExchangeRequest() override { refuse(Refusal::drop); }

  const FlowKey& key() const override { return key_; }
  SharedText asker() const override { return asker_; }
  std::unique_ptr<Connection> accept() override;
  void refuse(Refusal how) override;

 private:
  Executor executor_;
  const FlowKey key_;
  const SharedText asker_;
  ProxiedRequest request_;
  ProxyClient client_;
  const std::shared_ptr<ClientLease> lent_;
};

}  // namespace nsrun
