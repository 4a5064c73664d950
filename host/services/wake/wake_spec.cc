#include "host/services/wake/wake_spec.h"

#include <charconv>
#include <optional>
#include <utility>

#include "host/text/units.h"

namespace nsrun {

std::vector<std::string> labels_of_group(const std::string& group) {
  return {"proxytainer.group=" + group, "lazytainer.group=" + group, "nsrun.group=" + group};
}

Result<EndpointUrl> docker_endpoint(std::string text, const char* from_environment) {
  if (text.empty() && from_environment) text = from_environment;
  if (text.empty()) text = "unix:///var/run/docker.sock";
  auto where = EndpointUrl::parse(text);
  if (where && (where->kind == EndpointUrl::Kind::tcp || where->kind == EndpointUrl::Kind::unix_stream))
    return where;
  return Error{"the Docker API is not reached by '" + text + "'",
               {},
               "write unix:///PATH or tcp://HOST:PORT (--docker, or DOCKER_HOST)",
               ExitCode::usage};
}

Result<Clock::duration> parse_wake_time(const std::string& what, const std::string& text) {
  auto time = parse_time(text);
  if (!time) time = parse_time(text + "s");
  if (time) return std::chrono::duration_cast<Clock::duration>(*time);
  return Error{what + " '" + text + "' is not a valid duration",
               {},
               "write seconds, or 500ms, 2min; up to a day",
               ExitCode::usage};
}

namespace {

// A count, and what follows it. Nothing: there is no count, or it is 0.
std::optional<std::pair<std::uint64_t, std::string_view>> count_of(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count == 0) return std::nullopt;
  return std::pair(count, text.substr(static_cast<std::size_t>(end - text.data())));
}

bool are_packets(std::string_view unit) { return unit == "packets" || unit == "packet"; }

}  // namespace

Result<void> take_threshold(const std::string& text, WakeGroup::Options& options) {
  const auto count = count_of(text);
  const auto bytes = parse_size(text);
  if (count && are_packets(count->second)) {
    options.unit = WakeGroup::Unit::packets;
    options.least = count->first;
  } else if (bytes && *bytes > 0) {
    options.unit = WakeGroup::Unit::bytes;
    options.least = *bytes;
  } else {
    return Error{"'" + text + "' is not a valid threshold", {}, "write 30packets, or 4kB", ExitCode::usage};
  }
  options.by_arrivals = false;
  return {};
}

Result<void> take_wake_threshold(const std::string& text, WakeGroup::Options& options) {
  const auto count = count_of(text);
  if (!count || (!count->second.empty() && !are_packets(count->second)))
    return Error{"'" + text + "' is not a valid number of packets", {}, "write 30packets", ExitCode::usage};
  options.wake_least = count->first;
  return {};
}

Result<void> take_idle_by(const std::string& text, WakeGroup::Options& options) {
  if (text != "traffic" && text != "connections" && text != "both")
    return Error{"'" + text + "' is nothing to tell use by",
                 {},
                 "write traffic, connections or both",
                 ExitCode::usage};
  options.by_traffic = text != "connections";
  options.by_connections = text != "traffic";
  return {};
}

}  // namespace nsrun
