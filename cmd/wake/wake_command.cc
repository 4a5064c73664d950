#include "cmd/wake/wake_command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cmd/hide_password.h"
#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "cmd/wake/wake_options.h"
#include "host/services/wake/waker.h"

namespace nsrun {
namespace {

constexpr auto wake_text = R"(nsrun wake starts a server when a client connects, and stops it when it is idle.

  nsrun wake --port PORT --host HOST:PORT --group GROUP [OPTIONS]
  nsrun wake --listen LISTEN=DIAL... --exec COMMAND|--systemd UNIT|--group GROUP
  nsrun wake --listen LISTEN=guest+tcp://HOST:PORT... --sandbox [OPTIONS] -- CMD
  nsrun wake --config FILE | --from-labels

      --listen LISTEN=DIAL  as in nsrun forward; clients of LISTEN wait until the
                            server at DIAL is ready; can be repeated
  -p, --port PORT --host HOST:PORT   for
                            --listen tcp://:PORT=tcp://HOST:PORT

  -g, --group GROUP         containers with the label proxytainer.group=GROUP,
                            lazytainer.group=GROUP or nsrun.group=GROUP; several
                            groups start together
      --no-health           the containers' health checks do not count
      --from-labels[=CONTAINER]  groups that labels of a container describe
                            (lazytainer.group.NAME.ports=81 ...; default: the
                            container that nsrun is in); see nsrun-wake(1)
      --docker URL          the API: unix:///PATH or tcp://HOST:PORT (default:
                            DOCKER_HOST, or unix:///var/run/docker.sock)
      --sleep stop|pause    how containers are stopped (default stop)
      --exec COMMAND        a shell command; it gets SIGTERM, then SIGKILL
      --systemd UNIT        a unit, by systemctl
      --user                the unit is of the account's service manager
      --sandbox ...         the rest is an nsrun command line: a whole sandbox

      --idle TIME           stop after this time without use (default 300s);
                            0: never
      --idle-by traffic|connections|both   what counts as use (default traffic)
      --threshold N         use is at least this much within the idle time:
                            30packets, 4kB (a stream counts 1460 bytes as a
                            packet); default: any byte and any new connection
      --wake-threshold N    start when clients have sent this many packets within
                            the idle time (default 1); a connection counts as 3
      --probe connect|http://HOST:PORT/PATH|none|COMMAND   ready when DIAL
                            accepts a connection (default), GET is answered 2xx or
                            3xx (no HOST: of DIAL), at once, or COMMAND succeeds
      --start-timeout TIME  refuse clients that wait longer (default 60s)
      --stop-timeout TIME   from SIGTERM to SIGKILL (default 10s)
      --name NAME           for the log (default: what is started)
      --config FILE         several groups, in YAML: see nsrun-wake(1)

)" SERVICE_HELP;

class Waking final : public Serving {
 public:
  Waking(Service& service, WakeLevel most) : waker_(service, most) {}
  Result<void> add(WakeSpec spec) { return waker_.add(std::move(spec)); }
  Task<Result<void>> begin() override {
    waker_.begin();
    co_return Result<void>{};
  }
  Task<> ended() override { return waker_.end(); }

 private:
  Waker waker_;
};

// RUST_LOG, as the original has it.
WakeLevel log_level() {
  const char* text = std::getenv("RUST_LOG");
  const auto level = parse_wake_level(text ? text : "");
  if (!level) std::fprintf(stderr, "nsrun: RUST_LOG '%s' is not valid, and not heeded\n", text);
  return level.value_or(WakeLevel::info);
}

}  // namespace

const char* wake_help() { return wake_text; }

int wake_command(int argc, char** argv) {
  CLI::App app;
  ServiceOptions options;
  WakeOptions wanted;
  options.declare(app);
  wanted.declare(app);
  const auto rest = std::find(argv, argv + argc, std::string_view("--sandbox"));
  if (rest != argv + argc) wanted.sandbox.assign(rest + 1, argv + argc);
  if (const auto status = parse_words(app, static_cast<int>(rest - argv), argv, wake_text)) return *status;
  hide_passwords(argc, argv);
  if (rest != argv + argc && wanted.sandbox.empty())
    return fail({"--sandbox has no command", {}, "write --sandbox -- COMMAND", ExitCode::usage});
  const auto groups = wanted.groups();
  if (!groups) return fail(groups.error());
  const auto level = log_level();
  return serve(options, [&](Service& service) -> Result<std::unique_ptr<Serving>> {
    auto waking = std::make_unique<Waking>(service, level);
    for (const auto& group : *groups)
      if (auto added = waking->add(group); !added) return added.error();
    return waking;
  });
}

}  // namespace nsrun
