#pragma once

#include <vector>

#include "host/inspect/http_requests.h"
#include "runtime/connection.h"

namespace nsrun {

// A guest's connection of which only requests that agree can be read; the first that does not is an error,
// told to the record.
class InspectedRequests final : public Connection {
 public:
  // `record` outlives every read.
  InspectedRequests(std::unique_ptr<Connection> guest, HttpRequests requests, FlowRecord& record)
      : guest_(std::move(guest)), requests_(std::move(requests)), record_(record) {}

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override { return guest_->write(bytes); }
  void finish() override { guest_->finish(); }
  void reset() override { guest_->reset(); }

 private:
  Error refused(Error why);

  std::unique_ptr<Connection> guest_;
  HttpRequests requests_;
  FlowRecord& record_;
  std::vector<std::byte> held_;
  std::size_t open_ = 0;  // bytes of `held_`, from its front, that agree
};

}  // namespace nsrun
