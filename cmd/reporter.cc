#include "cmd/reporter.h"

#include <sys/resource.h>

#include <cstdio>
#include <utility>

namespace nsrun {

int fail(const Error& error) {
  std::fprintf(stderr, "nsrun: %s\n", error.message().c_str());
  return static_cast<int>(error.exit);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::unique_ptr<Reporter>> Reporter::open(const std::string& log, bool summary, bool quiet) {
  std::unique_ptr<JsonLog> file;
  if (!log.empty()) {
    auto opened = JsonLog::open(log);
    if (!opened) return opened.error();
    file = std::move(*opened);
  }
  return std::unique_ptr<Reporter>(new Reporter(std::move(file), summary, quiet));
}

void Reporter::flow_ended(const FlowRecord& record) {
  if (summary_) summary_->add(record);
  if (!log_) return;
  log_->flow_ended(record);
  if (log_->trouble() && !std::exchange(trouble_told_, true)) warning(log_->trouble()->message());
}

void Reporter::warning(const std::string& what) {
  if (!quiet_) std::fprintf(stderr, "nsrun: %s\n", what.c_str());
}

void Reporter::sum_up() const {
  if (summary_) std::fprintf(stderr, "nsrun: %s", summary_->text().c_str());
}

}  // namespace nsrun
