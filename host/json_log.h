#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>

#include "runtime/fd.h"
#include "runtime/flow_record.h"
#include "runtime/result.h"

namespace nsrun {

// A flow in words, as the log and the control socket have it. Fields: time, flow, protocol, asker ("guest",
// or "client"), guest and peer (the two ends as the guest sees them; of what is forwarded there is no guest,
// and the peer is the client), name, dialled,
// rule, verdict, bytes_up, bytes_down, packets_up, packets_down (not tcp), duration_ms, end, error.
boost::json::object describe(const FlowRecord& record);

// One JSON object a line for each flow that ended (NDJSON), in one write(2): the file is whole whenever nsrun
// ends, however it ends.
class JsonLog final : public Events {
 public:
  // `path`: a file to append to, or "-" for standard error.
  static Result<std::unique_ptr<JsonLog>> open(const std::string& path);
  void flow_ended(const FlowRecord& record) override;
  // Why a line could not be written, the first time; nothing when all were.
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  explicit JsonLog(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
  std::optional<Error> trouble_;
};

}  // namespace nsrun
