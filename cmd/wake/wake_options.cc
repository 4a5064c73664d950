#include "cmd/wake/wake_options.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "host/services/wake/wake_config.h"
#include "host/services/wake/wake_labels.h"

namespace nsrun {
namespace {

Error misused_wake(std::string what, std::string advice) {
  return {std::move(what), {}, std::move(advice), ExitCode::usage};
}

// What a sandbox runs, as one line.
std::string command_of(const std::vector<std::string>& words) {
  const auto dashes = std::ranges::find(words, "--");
  std::string line;
  for (auto word = dashes == words.end() ? words.begin() : dashes + 1; word != words.end(); ++word)
    line += (line.empty() ? "" : " ") + *word;
  return line;
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : ",") + word;
  return line;
}

// For each line of the log.
std::string short_name(std::string text) {
  constexpr std::size_t longest = 60;  // bytes
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  return text;
}

}  // namespace

void WakeOptions::declare(CLI::App& app) {
  const auto add = [&](const char* option, std::string& value) {
    return app.add_option(option, value)->take_last();
  };
  add("--config", config);
  add("--docker", docker);
  app.add_option("--from-labels", labels)->expected(0, 1);
  of_group_ = {app.add_option("--listen", listen)->take_all(),
               add("--exec", exec),
               add("--systemd", systemd),
               app.add_option("-g,--group", group)->allow_extra_args(false)->take_all(),
               add("-p,--port", port),
               add("--host", host),
               add("--name", name),
               add("--idle", idle),
               add("--idle-by", idle_by),
               add("--threshold", threshold),
               add("--wake-threshold", wake_threshold),
               add("--probe", probe),
               add("--start-timeout", start_timeout),
               add("--stop-timeout", stop_timeout),
               of_containers_[0] = add("--sleep", sleep),
               app.add_flag("--user", user),
               of_containers_[1] = app.add_flag("--no-health", no_health)};
}

Result<std::vector<WakeSpec>> WakeOptions::groups() const {
  if (!labels.empty()) return groups_of_labels();
  if (!config.empty()) {
    if (auto checked = check_alone("--config"); !checked) return checked.error();
    return read_wake_config(config, docker);
  }
  auto asked = group_of_words();
  if (!asked) return asked.error();
  std::vector<WakeSpec> one;
  one.push_back(std::move(*asked));
  return one;
}

// What a file or labels say is not for options to say, too.
Result<void> WakeOptions::check_alone(const std::string& source) const {
  const auto given = std::ranges::find_if(of_group_, [](const auto* option) { return option->count() > 0; });
  if (given == of_group_.end() && sandbox.empty()) return {};
  return misused_wake((sandbox.empty() ? (*given)->get_name() : "--sandbox") + " beside " + source,
                      "write it there, for the group it is meant for");
}

// A container's host name is the beginning of its id, where nothing else is asked for.
Result<std::vector<WakeSpec>> WakeOptions::groups_of_labels() const {
  if (!config.empty()) return misused_wake("--from-labels beside --config", "give one of them");
  if (auto checked = check_alone("--from-labels"); !checked) return checked.error();
  if (!labels.front().empty()) return read_wake_labels(docker, labels.front());
  char own[HOST_NAME_MAX + 1] = {};
  ::gethostname(own, HOST_NAME_MAX);
  return read_wake_labels(docker, own);
}

Result<WakeSpec> WakeOptions::group_of_words() const {
  WakeSpec spec;
  if (auto taken = take_what_starts(spec); !taken) return taken.error();
  if (auto taken = take_forwards(spec); !taken) return taken.error();
  if (auto taken = take_times(spec); !taken) return taken.error();
  if (auto taken = take_use(spec); !taken) return taken.error();
  spec.probe = probe;
  spec.options.name =
      name.empty() ? short_name(exec + systemd + joined_words(group) + command_of(sandbox)) : name;
  return spec;
}

Result<void> WakeOptions::take_what_starts(WakeSpec& spec) const {
  const int count = !exec.empty() + !systemd.empty() + !group.empty() + !sandbox.empty();
  if (count != 1)
    return misused_wake(
        count == 0 ? "there is nothing to start" : "there is more than one thing to start",
        "give one of --group GROUP, --exec COMMAND, --systemd UNIT, --sandbox -- COMMAND, --config FILE and "
        "--from-labels");
  if (user && systemd.empty()) return misused_wake("--user without --systemd", "leave it out");
  for (const auto* option : of_containers_)
    if (group.empty() && option->count() > 0)
      return misused_wake(option->get_name() + " without --group", "it is for containers; leave it out");
  if (sleep != "stop" && sleep != "pause")
    return misused_wake("--sleep '" + sleep + "'", "it is stop or pause");
  spec.exec = exec;
  spec.sandbox = sandbox;
  spec.systemd = systemd;
  spec.systemd_user = user;
  for (const auto& each : group) {
    const auto its = labels_of_group(each);
    spec.labels.insert(spec.labels.end(), its.begin(), its.end());
  }
  spec.docker = docker;
  spec.uses_health = !no_health;
  spec.pauses = sleep == "pause";
  return {};
}

Result<void> WakeOptions::take_forwards(WakeSpec& spec) const {
  auto all = listen;
  if (port.empty() != host.empty())
    return misused_wake(port.empty() ? "--host needs --port" : "--port needs --host",
                        "for instance --port 5001 --host localhost:5000");
  if (!port.empty()) {
    if (!parse_port(port))
      return misused_wake("--port '" + port + "' is not a valid port", "it is 1 to 65535");
    if (!EndpointUrl::parse("tcp://" + host))
      return misused_wake("--host '" + host + "' is not a valid HOST:PORT", "for instance localhost:5000");
    all.push_back("tcp://:" + port + "=tcp://" + host);
  }
  if (all.empty())
    return misused_wake("there is nowhere to listen",
                        "give --port 5001 --host localhost:5000, or --listen "
                        "tcp://:5001=tcp://localhost:5000");
  for (const auto& text : all) {
    auto forward = Forward::parse(text);
    if (!forward) return forward.error();
    spec.forwards.push_back(std::move(*forward));
  }
  return {};
}

Result<void> WakeOptions::take_times(WakeSpec& spec) const {
  const auto unused = parse_wake_time("--idle", idle);
  if (!unused) return unused.error();
  const auto start = parse_wake_time("--start-timeout", start_timeout);
  if (!start) return start.error();
  const auto stop = parse_wake_time("--stop-timeout", stop_timeout);
  if (!stop) return stop.error();
  spec.options.idle = *unused;
  spec.options.start_limit = *start;
  spec.stop_limit = *stop;
  return {};
}

Result<void> WakeOptions::take_use(WakeSpec& spec) const {
  if (!idle_by.empty())
    if (auto taken = take_idle_by(idle_by, spec.options); !taken) return taken;
  if (!threshold.empty())
    if (auto taken = take_threshold(threshold, spec.options); !taken) return taken;
  if (!wake_threshold.empty())
    if (auto taken = take_wake_threshold(wake_threshold, spec.options); !taken) return taken;
  return {};
}

}  // namespace nsrun
