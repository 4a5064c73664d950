#include "cmd/wake/wake_command.h"

#include <algorithm>

#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "cmd/wake/wake_options.h"
#include "host/wake/waker.h"

namespace nsrun {
namespace {

constexpr auto help = R"(nsrun wake starts what somebody connects to, and stops what nobody uses.

  nsrun wake --port PORT --host HOST:PORT --group GROUP [OPTIONS]
  nsrun wake --listen LISTEN=DIAL... --exec COMMAND|--systemd UNIT|--group GROUP
  nsrun wake --listen LISTEN=guest+tcp://HOST:PORT... --sandbox [OPTIONS] -- CMD
  nsrun wake --config FILE

      --listen LISTEN=DIAL  as nsrun forward has them; who comes to LISTEN waits
                            until what is at DIAL is ready; repeat it
  -p, --port PORT           with --host HOST:PORT:
                            --listen tcp://:PORT=tcp://HOST:PORT

  -g, --group GROUP         containers with the label proxytainer.group=GROUP or
                            nsrun.group=GROUP; their health checks count, but
                            for --no-health
      --docker URL          the API: unix:///PATH or tcp://HOST:PORT (default:
                            DOCKER_HOST, or unix:///var/run/docker.sock)
      --sleep stop|pause    what is done with containers (default stop)
      --exec COMMAND        a shell command; it gets SIGTERM, then SIGKILL
      --systemd UNIT        by systemctl; --user: of the account's own manager
      --sandbox ...         the rest is nsrun's own: a whole sandbox sleeps

      --idle TIME           unused for so long it is stopped (default 300s);
                            0: never
      --idle-by traffic|connections|both   what counts as use (default traffic)
      --threshold N         it is used as long as so much moves within that
                            time: 30packets, 4kB (default 1B; a stream counts
                            1460 bytes as a packet)
      --probe connect|http://HOST:PORT/PATH|none|COMMAND   ready once DIAL takes
                            a connection (default), GET is answered 2xx or 3xx (no
                            HOST: of DIAL), at once, or when COMMAND succeeds
      --start-timeout TIME  who waits longer is turned away (default 60s)
      --stop-timeout TIME   from SIGTERM to SIGKILL (default 10s)
      --name NAME           for the log (default: what is started)
      --config FILE         many groups, in YAML: see nsrun(1)

)" SERVICE_HELP;

class Waking final : public Serving {
 public:
  explicit Waking(Service& service) : waker_(service) {}
  Result<void> add(WakeSpec spec) { return waker_.add(std::move(spec)); }
  Task<Result<void>> begin() override {
    waker_.begin();
    co_return Result<void>{};
  }
  Task<> ended() override { return waker_.end(); }

 private:
  Waker waker_;
};

}  // namespace

int wake_command(int argc, char** argv) {
  CLI::App app;
  ServiceOptions options;
  WakeOptions wanted;
  options.declare(app);
  wanted.declare(app);
  const auto rest = std::find(argv, argv + argc, std::string_view("--sandbox"));
  if (rest != argv + argc) wanted.sandbox.assign(rest + 1, argv + argc);
  if (const auto status = parse_words(app, static_cast<int>(rest - argv), argv, help)) return *status;
  if (rest != argv + argc && wanted.sandbox.empty())
    return fail({"--sandbox has no command", {}, "write --sandbox -- COMMAND", ExitCode::usage});
  const auto groups = wanted.groups();
  if (!groups) return fail(groups.error());
  return serve(options, [&](Service& service) -> Result<std::unique_ptr<Serving>> {
    auto waking = std::make_unique<Waking>(service);
    for (const auto& group : *groups)
      if (auto added = waking->add(group); !added) return added.error();
    return waking;
  });
}

}  // namespace nsrun
