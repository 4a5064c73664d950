#pragma once

#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>

#include "host/log/json_log.h"
#include "host/log/summary.h"

namespace nsrun {

// Says it on standard error; the status that nsrun ends with.
int fail(const Error& error);

// As many descriptors as the kernel lets us have: a flow is one, and the soft limit of most shells, 1024, is
// for other programs. The soft limit that we had before, unless it stays.
std::optional<rlim_t> raise_descriptor_limit();

// Puts flows into the log and the summary, and warnings before the user: a hundred in ten seconds as they
// come, further ones summed up when that time is over or at the end.
class Reporter final : public Events {
 public:
  // `log`: a file to append to, "-" for standard error, empty for none.
  static Result<std::unique_ptr<Reporter>> open(const std::string& log, bool summary, bool quiet);

  void flow_ended(const FlowRecord& record) override;
  void warning(const std::string& what) override;
  // Called once, at the end. Writes the summary that was asked for, also with --quiet.
  void sum_up();

 private:
  Reporter(LineOutput errors, std::unique_ptr<JsonLog> log, bool summary, bool quiet)
      : errors_(std::move(errors)), log_(std::move(log)), quiet_(quiet) {
    if (summary) summary_.emplace();
  }
  void say_sums(const std::vector<FloodFilter<std::string>::Sum>& sums);
  void say(const std::string& text) { errors_.write("nsrun: " + text); }

  FloodFilter<std::string> warnings_;
  LineOutput errors_;  // not stdio's: the command may do to standard error what it likes
  std::unique_ptr<JsonLog> log_;
  std::optional<Summary> summary_;
  const bool quiet_;
  bool trouble_told_ = false;
};

}  // namespace nsrun
