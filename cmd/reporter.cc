#include "cmd/reporter.h"

#include <cstdio>
#include <utility>

#include "runtime/descriptor_reserve.h"
#include "runtime/printable.h"

namespace nsrun {
namespace {

// "flow 7: tcp/192.0.2.1:25 denied (--deny)": flows have numbers, and repeat themselves all the same.
std::string kind_of(const std::string& warning) {
  constexpr std::string_view flow = "flow ";
  const auto colon = warning.find(": ");
  return warning.starts_with(flow) && colon != warning.npos ? warning.substr(colon) : warning;
}

}  // namespace

int fail(const Error& error) {
  std::fprintf(stderr, "nsrun: %s\n", printable(error.message()).c_str());
  return static_cast<int>(error.exit);
}

std::optional<rlim_t> raise_descriptor_limit() {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) < 0) return std::nullopt;
  keep_descriptor_reserve();
  return before.rlim_cur;
}

Result<std::unique_ptr<Reporter>> Reporter::open(const std::string& log, bool summary, bool quiet) {
  std::unique_ptr<JsonLog> file;
  if (!log.empty()) {
    auto opened = JsonLog::open(log);
    if (!opened) return opened.error();
    file = std::move(*opened);
  }
  auto errors = LineOutput::open("-");
  if (!errors) return errors.error();
  return std::unique_ptr<Reporter>(new Reporter(std::move(*errors), std::move(file), summary, quiet));
}

void Reporter::flow_ended(const FlowRecord& record) {
  if (summary_) summary_->add(record);
  if (!log_) return;
  log_->flow_ended(record);
  if (log_->trouble() && !std::exchange(trouble_told_, true)) warning(log_->trouble()->message());
}

void Reporter::warning(const std::string& what) {
  if (quiet_) return;
  say_sums(warnings_.take_due(Clock::now()));
  const std::string shown = printable(what);
  if (warnings_.passes(kind_of(shown), [&] { return shown; })) say(shown + "\n");
}

void Reporter::say_sums(const std::vector<FloodFilter<std::string>::Sum>& sums) {
  for (const auto& sum : sums)
    say(sum.about +
        (sum.more == 0 ? ""
                       : ", and " + std::to_string(sum.more) + (sum.is_mixed ? " others" : " more times")) +
        "\n");
}

void Reporter::sum_up() {
  say_sums(warnings_.take());
  if (summary_) say(summary_->text());
  if (!log_) return;
  log_->finish();
  if (log_->lost() > 0)
    warning("the log is not complete: " + std::to_string(log_->lost()) + " lines could not be written");
  if (log_->was_truncated())
    warning("the log is not complete: its file was cut short while nsrun wrote to it");
}

}  // namespace nsrun
