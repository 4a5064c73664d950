#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/json_log.h"
#include "host/summary.h"

namespace nsrun {

// Says it on standard error; the status that nsrun ends with.
int fail(const Error& error);

// As many descriptors as the kernel lets us have: a flow is one, and the soft limit of most shells, 1024, is
// for other programs.
void raise_descriptor_limit();

// Puts flows into the log and the summary, and warnings before the user.
class Reporter final : public Events {
 public:
  // `log`: a file to append to, "-" for standard error, empty for none.
  static Result<std::unique_ptr<Reporter>> open(const std::string& log, bool summary, bool quiet);

  void flow_ended(const FlowRecord& record) override;
  void warning(const std::string& what) override;
  // What was asked for is said, quiet or not.
  void sum_up() const;

 private:
  Reporter(std::unique_ptr<JsonLog> log, bool summary, bool quiet) : log_(std::move(log)), quiet_(quiet) {
    if (summary) summary_.emplace();
  }

  std::unique_ptr<JsonLog> log_;
  std::optional<Summary> summary_;
  const bool quiet_;
  bool trouble_told_ = false;
};

}  // namespace nsrun
