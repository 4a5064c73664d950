// Every call is a connection of its own. What the daemon tells of by its event stream is only that something
// may have changed: the truth is asked for. Without the stream it is asked more often, and the stream is
// tried again, later each time; that it is gone is said once.

#include "host/wake/backends/docker_backend.h"

#include <algorithm>

#include "host/endpoints/endpoint_dialer.h"

namespace nsrun {
namespace {

constexpr auto call_limit = 20s;
constexpr auto stop_limit = 120s;  // the daemon waits for the container, 10 s as it comes
constexpr auto first_pause = 500ms;
constexpr Clock::duration longest_pause = 30s;

// RFC 3986 2.3: all but these.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += static_cast<char>(c);
      continue;
    }
    encoded += '%';
    encoded += digits[c >> 4];
    encoded += digits[c & 15];
  }
  return encoded;
}

std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

Error refused(const std::string& doing, const HttpAnswer& answer) {
  const auto message = docker::parse_message(answer.body);
  return {doing + ": the API answers " + std::to_string(answer.status) +
          (message.empty() ? "" : " (" + message + ")")};
}

}  // namespace

Result<std::unique_ptr<DockerBackend>> DockerBackend::make(const EndpointUrl& where, Options options,
                                                           Executor executor, Say say) {
  auto dialer = endpoint_dialer(where, executor);
  if (!dialer) return dialer.error();
  return std::unique_ptr<DockerBackend>(new DockerBackend("the Docker API at " + where.to_string(),
                                                          std::move(*dialer), where.target(),
                                                          std::move(options), std::move(say)));
}

HttpCall DockerBackend::call_to(std::string verb, std::string path) const {
  return {*dialer_, target_, where_, "docker", std::move(verb), std::move(path)};
}

Task<Result<std::vector<std::string>>> DockerBackend::list() {
  std::vector<std::string> all;
  for (const auto& label : options_.labels) {
    const std::string filters = "{\"label\":[" + json_text(label) + "]}";
    auto call = call_to("GET", "/containers/json?all=true&filters=" + percent_encoded(filters));
    const auto answer = co_await http_call(std::move(call), call_limit);
    if (!answer) co_return answer.error();
    if (answer->status != 200) co_return refused("cannot list containers", *answer);
    const auto ids = docker::parse_list(answer->body);
    if (!ids) co_return ids.error();
    for (const auto& id : *ids)
      if (std::ranges::find(all, id) == all.end()) all.push_back(id);
  }
  co_return Result<std::vector<std::string>>(boost::system::in_place_value, std::move(all));
}

Task<Result<std::optional<docker::Inspection>>> DockerBackend::inspect(const std::string& id) {
  using Seen = std::optional<docker::Inspection>;
  auto call = call_to("GET", "/containers/" + id + "/json");
  const auto answer = co_await http_call(std::move(call), call_limit);
  if (!answer) co_return answer.error();
  if (answer->status == 404) co_return Seen();  // removed since it was listed
  if (answer->status != 200) co_return refused("cannot inspect container " + id.substr(0, 12), *answer);
  const auto seen = docker::parse_inspection(answer->body, options_.uses_health);
  if (!seen) co_return seen.error();
  co_return Seen(*seen);
}

Task<Result<Backend::Status>> DockerBackend::status() {
  const auto ids = co_await list();
  if (!ids) co_return ids.error();
  bool all_run = !ids->empty(), none_idle = all_run;
  for (const auto& id : *ids) {
    const auto seen = co_await inspect(id);
    if (!seen) co_return seen.error();
    const auto status = *seen ? (*seen)->status : Status::idle;
    all_run = all_run && status == Status::running;
    none_idle = none_idle && status != Status::idle;
  }
  co_return all_run ? Status::running : none_idle ? Status::starting : Status::idle;
}

// 304: it is so already.
Task<Result<void>> DockerBackend::change(const std::string& id, const std::string& action, bool may_be_gone) {
  auto call = call_to("POST", "/containers/" + id + "/" + action);
  const auto answer = co_await http_call(std::move(call), stop_limit);
  if (!answer) co_return answer.error();
  const bool is_done = answer->status / 100 == 2 || answer->status == 304;
  if (is_done || (may_be_gone && answer->status == 404)) co_return Result<void>();
  co_return refused("cannot " + action + " container " + id.substr(0, 12), *answer);
}

Task<Result<void>> DockerBackend::start_one(const std::string& id) {
  const auto seen = co_await inspect(id);
  if (!seen) co_return seen.error();
  const std::string action = *seen && (*seen)->is_paused ? "unpause" : "start";
  co_return co_await change(id, action, false);
}

Task<Result<void>> DockerBackend::start() {
  const auto ids = co_await list();
  if (!ids) co_return ids.error();
  if (ids->empty()) co_return Error{"no container has the label " + options_.labels.front()};
  Result<void> outcome;
  for (const auto& id : *ids) {
    auto started = co_await start_one(id);
    if (!started && outcome) outcome = started;
  }
  co_return outcome;
}

Task<Result<void>> DockerBackend::stop() {
  const auto ids = co_await list();
  if (!ids) co_return ids.error();
  const std::string action = options_.pauses ? "pause" : "stop";
  Result<void> outcome;
  for (const auto& id : *ids) {
    // A paused one cannot be paused again, and one that does not run cannot be at all (409).
    const auto seen = co_await inspect(id);
    if (seen && *seen && (*seen)->status == Status::idle) continue;
    auto stopped = co_await change(id, action, true);
    if (!stopped && outcome) outcome = stopped;
  }
  co_return outcome;
}

Task<> DockerBackend::watch(std::function<void()> changed) {
  const std::string path = "/events?filters=" + percent_encoded(R"({"type":["container"]})");
  Clock::duration pause = first_pause;
  std::string said;
  for (;;) {
    const auto began = Clock::now();
    auto call = call_to("GET", path);
    // What happened before the stream began is not told.
    std::function<void()> begun = [&] {
      is_told_ = true;
      said.clear();
      changed();
    };
    std::function<void(std::string_view)> take = [&](std::string_view event) {
      if (docker::concerns(event, options_.labels)) changed();
    };
    const auto error = co_await http_lines(std::move(call), std::move(begun), std::move(take));
    is_told_ = false;
    changed();
    if (said != error.message()) say_(error.message() + "; it is asked again and again meanwhile");
    said = error.message();
    if (Clock::now() - began > longest_pause) pause = first_pause;
    co_await sleep_for(pause);
    pause = std::min<Clock::duration>(pause * 2, longest_pause);
  }
}

Backend::Pace DockerBackend::pace() const {
  return {std::chrono::milliseconds(100), is_told_ ? std::chrono::seconds(30) : std::chrono::seconds(1)};
}

}  // namespace nsrun
