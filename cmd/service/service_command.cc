#include "cmd/service/service_command.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstdlib>

#include "cmd/choose.h"
#include "cmd/hide_password.h"
#include "cmd/reporter.h"
#include "cmd/service/sd_notify.h"
#include "host/services/loop_watchdog.h"
#include "host/services/service_loop.h"
#include "host/text/units.h"

namespace nsrun {
namespace {

using Signals = asio::basic_signal_set<Executor>;

constexpr auto last_words = 1s;  // for what was cut to be written down

Result<Clock::duration> drain_limit(const std::string& text) {
  auto time = parse_time(text);
  if (!time) time = parse_time(text + "s");
  if (time) return std::chrono::duration_cast<Clock::duration>(*time);
  return Error{
      "--drain '" + text + "' is not a valid duration", {}, "write seconds, or 500ms, 2min", ExitCode::usage};
}

Result<void> check_ready_fd(int fd) {
  if (fd < 0 || (fd > 2 && ::fcntl(fd, F_GETFD) >= 0)) return {};
  return Error{"--ready-fd " + std::to_string(fd) + ": no such descriptor was passed on",
               {},
               "open it for nsrun, for instance 3>ready.fifo",
               ExitCode::usage};
}

// What waits for us hears that clients are taken.
void tell_ready(int fd) {
  sd_notify("READY=1");
  if (fd < 0) return;
  (void)!::write(fd, "ready\n", 6);
  ::close(fd);
}

Task<> wait_for(Signals& signals) { co_await signals.async_wait(use_result); }

// One signal asks it to end, a second to do so at once.
Task<> run(Service& service, Serving& serving, const ServiceOptions& options, Clock::duration limit,
           std::optional<int>& status) {
  Signals signals(service.executor(), SIGTERM, SIGINT, SIGHUP);
  std::optional<Result<void>> begun;
  const auto begin = [](Serving& what, std::optional<Result<void>>& done) -> Task<> {
    done = co_await what.begin();
  };
  co_await either(begin(serving, begun), wait_for(signals));
  if (begun && !*begun) status = fail(begun->error());
  if (begun && *begun) {
    tell_ready(options.ready_fd);
    co_await wait_for(signals);
  }
  sd_notify("STOPPING=1");
  if (status) limit = {};
  const auto end = [](Service& ours, Serving& what, Clock::duration most) -> Task<> {
    co_await ours.end_sources();
    co_await either(what.end(), sleep_for(last_words));
    co_await ours.drain(most);
    co_await what.ended();
  };
  const bool ended = co_await either(end(service, serving, limit), wait_for(signals));
  if (!ended) co_await service.drain({});
  if (!status) status = serving.status();
}

Result<int> serve_to_the_end(const ServiceOptions& options, const MakeServing& make) {
  const auto limit = drain_limit(options.drain);
  if (!limit) return limit.error();
  if (auto checked = check_ready_fd(options.ready_fd); !checked) return checked.error();
  Latency latency = Latency::automatic;
  if (auto chosen = choose_latency(latency, options.latency); !chosen) return chosen.error();
  auto reporter = Reporter::open(options.log, options.summary, options.quiet);
  if (!reporter) return reporter.error();
  raise_descriptor_limit();
  ::signal(SIGPIPE, SIG_IGN);  // splice(2) has no MSG_NOSIGNAL
  asio::io_context context(1);
  Service service(context, **reporter, options.control);
  auto serving = make(service);
  if (!serving) return serving.error();
  service.begin();
  const LoopWatchdog watchdog(context);
  std::optional<int> status;
  std::exception_ptr failure;
  auto over = [&](std::exception_ptr thrown) {
    failure = thrown;
    if (failure) status = static_cast<int>(ExitCode::failed);
  };
  asio::co_spawn(context, run(service, **serving, options, *limit, status), over);
  run_until(context, latency, [&status] { return status.has_value(); });
  context.run_for(last_words);
  (*reporter)->sum_up();
  if (failure) std::rethrow_exception(failure);
  // What has not ended by now is not waited for.
  if (!context.stopped()) std::_Exit(*status);
  return *status;
}

}  // namespace

void ServiceOptions::declare(CLI::App& app) {
  app.add_option("--log", log)->take_last();
  app.add_option("--control", control)->take_last();
  app.add_option("--drain", drain)->take_last();
  app.add_option("--latency", latency)->take_last();
  app.add_option("--ready-fd", ready_fd)->take_last();
  app.add_flag("--summary", summary);
  app.add_flag("-q,--quiet", quiet);
}

int serve(const ServiceOptions& options, const MakeServing& make) {
  try {
    const auto status = serve_to_the_end(options, make);
    return status ? *status : fail(status.error());
  } catch (const ErrorException& error) {
    return fail(error.error());
  } catch (const boost::system::system_error& error) {
    return fail({"cannot serve", error.code()});
  }
}

std::optional<int> parse_words(CLI::App& app, int argc, char** argv, const char* help) {
  bool help_wanted = false, version_wanted = false;
  app.set_help_flag();
  app.add_flag("-h,--help", help_wanted);
  app.add_flag("-V,--version", version_wanted);
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 takes them from the back
    std::string word = argv[i];
    const bool is_long = word.size() > 2 && word[0] == '-' && word[1] != '-' &&
                         app.get_option_no_throw("-" + word.substr(0, word.find('=')));
    words.push_back(is_long ? "-" + word : word);
  }
  const auto misused = [](std::string what) {
    return fail({std::move(what), {}, "--help lists the options", ExitCode::usage});
  };
  try {
    app.parse(words);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();  // "--log: 1 required TEXT missing"
    return misused(what.substr(0, what.find(':')) + " needs a value");
  } catch (const CLI::ParseError& error) {
    return misused(error.what());
  }
  hide_passwords(argc, argv);
  if (help_wanted) return std::fputs(help, stdout) < 0;
  if (version_wanted) return std::fputs("nsrun " NSRUN_VERSION "\n", stdout) < 0;
  return std::nullopt;
}

}  // namespace nsrun
