#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>

#include "host/services/service.h"

namespace nsrun {

// What every command that serves until it is told to end has in common:
//
//   --log FILE, --summary, --control SOCKET, -q   as a sandbox has them
//   --ready-fd N       a line is written there, and it is closed, once clients are taken; systemd is told,
//   too
//                      (sd_notify(3))
//   --latency auto|low|cpu   as a sandbox has it
//   --drain SECONDS    for what lives to end by itself after SIGTERM, SIGINT or SIGHUP (default 10)
struct ServiceOptions {
  std::string log, control, drain = "10", latency = "auto";
  bool summary = false, quiet = false;
  int ready_fd = -1;

  void declare(CLI::App& app);
};

// What is served.
class Serving {
 public:
  virtual ~Serving() = default;
  // Clients are taken once this is done. An error ends the command before it was ready.
  virtual Task<Result<void>> begin() = 0;
  // It is told to end: what is to be said to others meanwhile. Its sources have ended.
  virtual Task<> end() { co_return; }
  // Its flows have ended, too: what is left of it is to end.
  virtual Task<> ended() { co_return; }
  // How it went, in the end.
  virtual int status() const { return 0; }
};

// Makes what is served: what can fail at once does. It outlives nothing of the service.
using MakeServing = std::function<Result<std::unique_ptr<Serving>>(Service&)>;

#define SERVICE_HELP                                                                \
  "      --log FILE            a JSON line for each flow (\"-\": standard error)\n" \
  "      --summary             at the end, which clients were connected to what\n"  \
  "      --control SOCKET      nsrun ctl SOCKET flows|stats|top|cut\n"              \
  "      --ready-fd N          gets a line when clients are accepted; systemd is\n" \
  "                            notified as well\n"                                  \
  "      --drain TIME          how long live connections may go on after SIGTERM\n" \
  "                            (default 10s)\n"                                     \
  "      --latency auto|low|cpu  look for work before sleeping: while that pays\n"  \
  "                            (default), always, never\n"                          \
  "  -q, --quiet               no warnings\n"                                       \
  "  -h, --help; -V, --version\n"

// The status to end with; what went wrong was said.
int serve(const ServiceOptions& options, const MakeServing& make);

// Parses the words of a subcommand; `help` is printed for --help, the version for --version. Nothing: go on;
// else the status to end with. Options of more than one letter may have a single dash too.
std::optional<int> parse_words(CLI::App& app, int argc, char** argv, const char* help);

}  // namespace nsrun
