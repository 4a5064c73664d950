// What the daemon tells of by its event stream is only that something may have changed: the truth is asked
// for. Without the stream it is asked more often, and the stream is tried again, later each time; that it is
// gone is said once.

#include "host/services/wake/backends/docker_backend.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr auto stop_limit = 120s;                  // the daemon waits for the container, 10 s as it comes
constexpr std::size_t max_containers_at_once = 8;  // containers that are started or stopped
constexpr std::size_t max_troubles = 3;            // that one line tells
constexpr auto first_pause = 500ms;
constexpr Clock::duration max_follow_pause = 30s;

std::string short_of(const std::string& id) { return id.substr(0, 12); }

std::string in_one(const std::vector<std::string>& troubles) {
  std::string all = troubles.front();
  const auto shown = std::min(troubles.size(), max_troubles);
  for (std::size_t i = 1; i < shown; ++i) all += "; " + troubles[i];
  if (shown < troubles.size()) all += "; and " + std::to_string(troubles.size() - shown) + " more";
  return all;
}

}  // namespace

Result<std::unique_ptr<DockerBackend>> DockerBackend::make(const EndpointUrl& where, Options options,
                                                           Executor executor, Say say) {
  if (options.labels.empty()) return Error{"containers are found by a label, and there is none"};
  auto api = DockerApi::make(where, executor);
  if (!api) return api.error();
  return std::unique_ptr<DockerBackend>(
      new DockerBackend(std::move(*api), std::move(options), std::move(say)));
}

Task<Result<std::optional<docker::Inspection>>> DockerBackend::inspect(const std::string& id) {
  using Seen = std::optional<docker::Inspection>;
  const std::string doing = "cannot inspect container " + short_of(id);
  const auto answer = co_await api_.inspect(id, doing);
  if (!answer) co_return answer.error();
  if (answer->status == 404) co_return Seen();  // removed since it was listed
  if (answer->status != 200) co_return refused_by_api(doing, *answer);
  const auto seen = docker::parse_inspection(answer->body, options_.uses_health);
  if (!seen) co_return seen.error();
  co_return Seen(*seen);
}

Task<Result<Backend::Status>> DockerBackend::status() {
  const auto ids = co_await api_.list(options_.labels);
  if (!ids) co_return ids.error();
  std::size_t running = 0, idle = 0;
  for (const auto& id : *ids) {
    const auto seen = co_await inspect(id);
    if (!seen) co_return seen.error();
    const auto status = *seen ? (*seen)->status : Status::idle;
    running += status == Status::running;
    idle += status == Status::idle;
  }
  if (idle == ids->size()) co_return Status::idle;
  if (idle > 0) co_return Status::partly;
  co_return running == ids->size() ? Status::running : Status::starting;
}

// 304: it is so already.
Task<Result<void>> DockerBackend::change(const std::string& id, const std::string& action, bool may_be_gone) {
  const std::string doing = "cannot " + action + " container " + short_of(id);
  auto call = api_.call_to("POST", "/containers/" + id + "/" + action, doing);
  const auto answer = co_await api_.ask(std::move(call), stop_limit);
  if (!answer) co_return answer.error();
  const bool is_done = answer->status / 100 == 2 || answer->status == 304;
  if (is_done || (may_be_gone && answer->status == 404)) co_return Result<void>();
  co_return refused_by_api(doing, *answer);
}

Task<Result<void>> DockerBackend::start_one(const std::string& id) {
  const auto seen = co_await inspect(id);
  if (!seen) co_return seen.error();
  const std::string action = *seen && (*seen)->is_paused ? "unpause" : "start";
  co_return co_await change(id, action, false);
}

// A paused one cannot be paused again, and one that does not run cannot be at all (409).
Task<Result<void>> DockerBackend::stop_one(const std::string& id) {
  const auto seen = co_await inspect(id);
  if (seen && *seen && (*seen)->status == Status::idle) co_return Result<void>();
  const std::string action = options_.pauses ? "pause" : "stop";
  co_return co_await change(id, action, true);
}

struct DockerBackend::Changes {
  const std::vector<std::string>& ids;
  const Change one;
  std::size_t begun = 0;
  std::vector<std::string> troubles;
};

Task<> DockerBackend::change_in_turn(Changes& changes) {
  while (changes.begun < changes.ids.size()) {
    const auto& id = changes.ids[changes.begun++];
    const auto done = co_await (this->*changes.one)(id);
    if (!done) changes.troubles.push_back(done.error().message());
  }
}

// One that fails holds up no other.
Task<Result<void>> DockerBackend::change_all(std::vector<std::string> ids, Change one) {
  Changes changes{ids, one, 0, {}};
  std::vector<Task<>> at_once;
  while (at_once.size() < std::min(ids.size(), max_containers_at_once))
    at_once.push_back(change_in_turn(changes));
  co_await wait_all(std::move(at_once));
  if (changes.troubles.empty()) co_return Result<void>();
  std::ranges::sort(changes.troubles);  // they come in any order
  co_return Error{in_one(changes.troubles)};
}

Task<Result<void>> DockerBackend::start() {
  auto ids = co_await api_.list(options_.labels);
  if (!ids) co_return ids.error();
  if (ids->empty()) co_return Error{"no container has the label " + options_.labels.front()};
  co_return co_await change_all(std::move(*ids), &DockerBackend::start_one);
}

Task<Result<void>> DockerBackend::stop() {
  auto ids = co_await api_.list(options_.labels);
  if (!ids) co_return ids.error();
  if (ids->empty()) co_return Result<void>();
  co_return co_await change_all(std::move(*ids), &DockerBackend::stop_one);
}

struct DockerBackend::Followed {
  Error end;
  Clock::duration lasted{};  // since the API had agreed
};

Task<DockerBackend::Followed> DockerBackend::follow(const std::function<void()>& changed) {
  const std::string path = "/events?filters=" + percent_encoded(R"({"type":["container"]})");
  auto call = api_.call_to("GET", path, "cannot follow the events");
  std::optional<Clock::time_point> since;
  // What happened before the stream began is not told.
  std::function<void()> begun = [&] {
    is_told_ = true;
    since = Clock::now();
    changed();
  };
  std::function<void(std::string_view)> take = [&](std::string_view event) {
    if (docker::concerns(event, options_.labels)) changed();
  };
  auto end = co_await http_lines(std::move(call), std::move(begun), std::move(take));
  is_told_ = false;
  changed();
  const auto lasted = since ? Clock::now() - *since : Clock::duration{};
  co_return Followed{std::move(end), lasted};
}

// A stream that had lasted for a while is tried anew at once, which is no trouble. Nor is it said here that
// nobody is there: status() is asked, and finds the same.
Task<> DockerBackend::watch(std::function<void()> changed) {
  Clock::duration pause = first_pause;
  std::string said;
  for (;;) {
    const auto followed = co_await follow(changed);
    auto what = followed.end.message();
    if (followed.lasted > max_follow_pause) {
      pause = first_pause;
      said.clear();
    } else if (said != what && followed.end.doing != cannot_reach(api_.where())) {
      say_(what + "; it is asked again and again meanwhile");
      said = std::move(what);
    }
    co_await sleep_for(pause);
    pause = std::min<Clock::duration>(pause * 2, max_follow_pause);
  }
}

Backend::Pace DockerBackend::pace() const {
  return {std::chrono::milliseconds(100), is_told_ ? std::chrono::seconds(30) : std::chrono::seconds(1)};
}

}  // namespace nsrun
