#include "host/wake/backends/run_program.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::size_t most_output = 64 << 10;  // bytes; the rest is read and forgotten

// What is there by now. False: there will be no more.
bool take_output(int pipe, std::string& output) {
  char buffer[4096];
  for (;;) {
    const auto got = ::read(pipe, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN;
    output.append(buffer, std::min(static_cast<std::size_t>(got), most_output - output.size()));
  }
}

Task<> read_until(Descriptor& pipe, std::string& output, Clock::duration limit) {
  const auto read_on = [](Descriptor& from, std::string& into) -> Task<> {
    while (take_output(from.native_handle(), into))
      if (!co_await readable(from)) co_return;
  };
  co_await both(read_on(pipe, output), sleep_for(limit));
}

Task<> until_ended(Descriptor& pidfd) { co_await readable(pidfd); }

}  // namespace

Result<UniqueFd> open_nothing() {
  UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return errno_error("cannot open /dev/null");
  return nothing;
}

Task<Result<ProgramResult>> run_program(Executor executor, std::vector<std::string> argv,
                                        Clock::duration limit) {
  const std::string name = argv.back();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) co_return errno_error("cannot make a pipe to run '" + name + "'");
  UniqueFd ours(ends[0]), its_output(ends[1]), its_errors(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3));
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  auto nothing = open_nothing();
  if (!nothing) co_return nothing.error();
  Command command;
  command.argv = std::move(argv);
  command.first_fd = STDIN_FILENO;
  command.extra_fds.push_back(std::move(*nothing));
  command.extra_fds.push_back(std::move(its_output));
  command.extra_fds.push_back(std::move(its_errors));
  command.usual_signals = true;
  auto process = start(command);
  if (!process) co_return process.error();
  Descriptor output(executor, ours.release());
  Descriptor ended(executor, ::fcntl(process->pidfd(), F_DUPFD_CLOEXEC, 3));
  ProgramResult result;
  // What it leaves running may keep the pipe open: its own end is what counts.
  const bool in_time = co_await either(until_ended(ended), read_until(output, result.output, limit));
  if (!in_time) co_return Error{"'" + name + "' did not end in time", errno_code(ETIMEDOUT)};
  take_output(output.native_handle(), result.output);
  result.status = process->wait();
  co_return result;
}

}  // namespace nsrun
