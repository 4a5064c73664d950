#pragma once

#include "runtime/connection.h"

namespace nsrun {

class MovedFlows;

// The SYN of a connect that was moved to the device: a request of the stack's loop, in the hands of the
// injector's. Without an answer it is dropped.
class MovedRequest {
 public:
  MovedRequest(MovedFlows& flows, std::unique_ptr<Request> request)
      : flows_(&flows), request_(std::move(request)) {}
  MovedRequest(MovedRequest&&) = default;
  ~MovedRequest();

  std::unique_ptr<Connection> accept();
  void refuse(Refusal how);
  // Nobody waits for it here: as its own loop will have it.
  void give_back();

 private:
  MovedFlows* flows_;
  std::unique_ptr<Request> request_;
};

// The guest's end of such a flow. A far end that is a kernel socket goes to the stack's loop, and the flow
// with it; to any other each read and write is taken there and back.
class MovedConnection final : public Connection {
 public:
  MovedConnection(MovedFlows& flows, std::unique_ptr<Request> request);
  ~MovedConnection() override;

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;
  bool carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) override;

 private:
  struct There;
  MovedFlows& flows_;
  std::unique_ptr<There> there_;  // the stack's loop's
};

}  // namespace nsrun
