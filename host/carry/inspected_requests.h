#pragma once

#include <vector>

#include "host/carry/http_requests.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"

namespace nsrun {

// A guest's connection of which only requests that agree can be read; the first that does not is an error,
// told to the record.
class InspectedRequests final : public Connection {
 public:
  // `record` outlives every read.
  // `memory` is charged for what does not agree yet; null: nothing is.
  InspectedRequests(std::unique_ptr<Connection> guest, HttpRequests requests, FlowRecord& record,
                    MemoryShare* memory = nullptr)
      : guest_(std::move(guest)), requests_(std::move(requests)), record_(record), memory_(memory) {}

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override { return guest_->write(bytes); }
  void finish() override { guest_->finish(); }
  void reset() override { guest_->reset(); }

 private:
  Error refused(Error why);
  bool hold(Bytes bytes);  // false: there is no memory

  std::unique_ptr<Connection> guest_;
  HttpRequests requests_;
  FlowRecord& record_;
  std::vector<std::byte> held_;
  MemoryCharge memory_;   // for held_
  std::size_t open_ = 0;  // bytes of `held_`, from its front, that agree
};

}  // namespace nsrun
