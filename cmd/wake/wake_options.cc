#include "cmd/wake/wake_options.h"

#include <algorithm>
#include <cstdlib>

#include "host/wake/wake_config.h"

namespace nsrun {
namespace {

Error misused(std::string what, std::string advice) {
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

}  // namespace

void WakeOptions::declare(CLI::App& app) {
  app.add_option("--listen", listen)->take_all();
  for (auto [option, value] : {std::pair("--exec", &exec),
                               {"--systemd", &systemd},
                               {"-g,--group", &group},
                               {"--config", &config},
                               {"--docker", &docker},
                               {"-p,--port", &port},
                               {"--host", &host},
                               {"--name", &name},
                               {"--idle", &idle},
                               {"--idle-by", &idle_by},
                               {"--threshold", &threshold},
                               {"--probe", &probe},
                               {"--start-timeout", &start_timeout},
                               {"--stop-timeout", &stop_timeout},
                               {"--sleep", &sleep}})
    app.add_option(option, *value)->take_last();
  app.add_flag("--user", user);
  app.add_flag("--no-health", no_health);
}

Result<std::vector<WakeSpec>> WakeOptions::groups() const {
  const auto api = docker_endpoint(docker, std::getenv("DOCKER_HOST"));
  if (!api) return api.error();
  if (config.empty()) {
    auto asked = group_of_words(*api);
    if (!asked) return asked.error();
    std::vector<WakeSpec> one;
    one.push_back(std::move(*asked));
    return one;
  }
  if (!(listen.empty() && exec.empty() && sandbox.empty() && systemd.empty() && group.empty() &&
        port.empty() && host.empty()))
    return misused("--config and a group of its own", "write the group into the file");
  return read_wake_config(config, *api);
}

Result<WakeSpec> WakeOptions::group_of_words(const EndpointUrl& api) const {
  WakeSpec spec;
  if (auto taken = take_what_starts(spec, api); !taken) return taken.error();
  if (auto taken = take_forwards(spec); !taken) return taken.error();
  if (auto taken = take_times(spec); !taken) return taken.error();
  if (auto taken = take_use(spec); !taken) return taken.error();
  spec.probe = probe;
  spec.options.name = name.empty() ? exec + systemd + group + command_of(sandbox) : name;
  return spec;
}

Result<void> WakeOptions::take_what_starts(WakeSpec& spec, const EndpointUrl& api) const {
  const int count = !exec.empty() + !systemd.empty() + !group.empty() + !sandbox.empty();
  if (count != 1)
    return misused(
        count == 0 ? "there is nothing to start" : "there is more than one thing to start",
        "give one of --group GROUP, --exec COMMAND, --systemd UNIT, --sandbox -- COMMAND and --config FILE");
  if (sleep != "stop" && sleep != "pause") return misused("--sleep '" + sleep + "'", "it is stop or pause");
  spec.exec = exec;
  spec.sandbox = sandbox;
  spec.systemd = systemd;
  spec.systemd_user = user;
  if (!group.empty()) spec.labels = labels_of_group(group);
  spec.docker = api;
  spec.uses_health = !no_health;
  spec.pauses = sleep == "pause";
  return {};
}

Result<void> WakeOptions::take_forwards(WakeSpec& spec) const {
  auto all = listen;
  if (port.empty() != host.empty())
    return misused(port.empty() ? "--host needs --port" : "--port needs --host",
                   "for instance --port 5001 --host localhost:5000");
  if (!port.empty()) all.push_back("tcp://:" + port + "=tcp://" + host);
  if (all.empty())
    return misused("there is nowhere to listen",
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
  return {};
}

}  // namespace nsrun
