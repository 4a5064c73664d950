#include "host/json_log.h"

#include <fcntl.h>

#include <boost/json/serialize.hpp>
#include <ctime>

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

}  // namespace

Result<std::unique_ptr<JsonLog>> JsonLog::open(const std::string& path) {
  if (path == "-") return std::unique_ptr<JsonLog>(new JsonLog(UniqueFd(::fcntl(2, F_DUPFD_CLOEXEC, 3))));
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file) return errno_error("cannot write the log file " + path);
  return std::unique_ptr<JsonLog>(new JsonLog(std::move(file)));
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
  const std::string text = boost::json::serialize(describe(record)) + "\n";
  if (::write(file_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) && !trouble_)
    trouble_ = errno_error("cannot write to the log, which is not complete");
}

}  // namespace nsrun
