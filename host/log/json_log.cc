#include "host/log/json_log.h"

#include <boost/json/serialize.hpp>
#include <ctime>

#include "runtime/printable.h"

namespace nsrun {
namespace {

// RFC 3339, in UTC, to the millisecond.
std::string timestamp(std::chrono::system_clock::time_point when) {
  const auto since = when.time_since_epoch();
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[40];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>(rest));
  return text;
}

std::string text_of(const Endpoint& endpoint, Protocol protocol) {
  return protocol == Protocol::icmp ? endpoint.address.to_string() : endpoint.to_string();
}

// Of flows that a guest can cause for nothing: they moved nothing. Empty: it is another one.
std::string kind_of_refusal(const FlowRecord& record) {
  const bool is_refused = record.end == FlowEnd::refused || record.end == FlowEnd::failed;
  if (!is_refused || record.bytes_up + record.bytes_down > 0) return {};
  std::string kind;
  for (const auto& part : {std::string(to_string(record.key.protocol)), record.key.target.to_string(),
                           record.name.str(), record.rule.str(), record.why.str()})
    kind += part + '\n';
  return kind + static_cast<char>('0' + static_cast<int>(record.asker)) + (record.rejected ? 'r' : 'd');
}

}  // namespace

Result<std::unique_ptr<JsonLog>> JsonLog::open(const std::string& path) {
  auto output = LineOutput::open(path);
  if (!output) return output.error();
  return std::make_unique<JsonLog>(std::move(*output));
}

boost::json::object describe(const FlowRecord& record) {
  const auto protocol = record.key.protocol;
  boost::json::object line;
  line["time"] = timestamp(record.began());
  line["flow"] = record.id;
  line["protocol"] = to_string(protocol);
  const bool guest_asked = is_guest(record.asker);
  const std::string source =
      record.asker_name.empty() ? text_of(record.key.source, protocol) : record.asker_name.str();
  const std::string target = text_of(record.key.target, protocol);
  line["asker"] = guest_asked ? "guest" : "client";
  if (record.asker != Asker::forwarded) line["guest"] = guest_asked ? source : target;
  line["peer"] = guest_asked ? target : source;
  line["name"] = record.name.str();
  line["dialled"] = record.dialled();
  line["rule"] = record.rule.str();
  const bool is_judged = record.allowed || record.end != FlowEnd::open;
  line["verdict"] = record.allowed ? "allow" : record.rejected ? "reject" : is_judged ? "deny" : "pending";
  // Nobody here sees what an injected flow moves.
  const bool is_seen = record.end != FlowEnd::injected;
  line["bytes_up"] = is_seen ? boost::json::value(record.bytes_up) : nullptr;
  line["bytes_down"] = is_seen ? boost::json::value(record.bytes_down) : nullptr;
  if (protocol != Protocol::tcp) {
    line["packets_up"] = record.packets_up;
    line["packets_down"] = record.packets_down;
  }
  line["duration_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - record.began_steady)
                            .count();
  line["end"] = to_string(record.end);
  if (!record.why.empty()) line["error"] = record.why.str();
  return line;
}

void JsonLog::flow_ended(const FlowRecord& record) {
  write_sums(refusals_.take_due(Clock::now()));
  const auto kind = kind_of_refusal(record);
  if (kind.empty() || refusals_.passes(kind, [&] { return describe(record); })) write(describe(record));
}

void JsonLog::finish() { write_sums(refusals_.take()); }

void JsonLog::write_sums(std::vector<Filter::Sum> sums) {
  for (auto& sum : sums) {
    if (sum.more > 0) sum.about[sum.is_mixed ? "skipped" : "repeats"] = sum.more;
    write(std::move(sum.about));
  }
}

void JsonLog::write(boost::json::object line) {
  const bool is_truncated = output_.is_truncated();
  if (is_truncated) line["truncated"] = was_truncated_ = true;
  const auto lost = output_.lost();
  if (lost > lost_told_) line["lost"] = lost - lost_told_;
  if (output_.write(printable(boost::json::serialize(line)) + "\n")) lost_told_ = lost;
}

}  // namespace nsrun
