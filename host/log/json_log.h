#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>

#include "host/log/flood_filter.h"
#include "host/log/line_output.h"
#include "runtime/flow_record.h"

namespace nsrun {

// A flow in words, as the log and the control socket have it. Fields: time, flow, protocol, asker ("guest",
// or "client"), guest and peer (the two ends as the guest sees them; of what is forwarded there is no guest,
// and the peer is the client), name, dialled,
// rule, verdict, bytes_up, bytes_down, packets_up, packets_down (not tcp), duration_ms, end, error.
boost::json::object describe(const FlowRecord& record);

// One JSON object a line for each flow that ended (NDJSON), in one write(2): the file is whole whenever nsrun
// ends, however it ends. A guest can have flows refused as fast as it likes: of these a hundred in ten
// seconds are written one by one, the others by kind, in a line with
//
//   repeats     how many flows like this one came after it
//   skipped     in their place: how many refused ones of other kinds did
//
// once the ten seconds are over and another flow ends, or at the end. What could not be written is told in
// the next line that is:
//
//   lost        how many lines before this one could not be written
//   truncated   true: somebody has cut the file short since the last line
class JsonLog final : public Events {
 public:
  // `path`: a file to append to, or "-" for standard error.
  static Result<std::unique_ptr<JsonLog>> open(const std::string& path);
  explicit JsonLog(LineOutput output) : output_(std::move(output)) {}
  ~JsonLog() override { finish(); }

  void flow_ended(const FlowRecord& record) override;
  // In the end: what is summed up is written.
  void finish();
  // Why a line could not be written, the first time; nothing when all were.
  const std::optional<Error>& trouble() const { return output_.trouble(); }
  std::uint64_t lost() const { return output_.lost(); }
  bool was_truncated() const { return was_truncated_; }

 private:
  using Filter = FloodFilter<boost::json::object>;
  void write(boost::json::object line);
  void write_sums(std::vector<Filter::Sum> sums);

  LineOutput output_;
  Filter refusals_;
  std::uint64_t lost_told_ = 0;
  bool was_truncated_ = false;
};

}  // namespace nsrun
