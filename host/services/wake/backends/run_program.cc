#include "host/services/wake/backends/run_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/cancellation.h"
#include "runtime/pipe.h"

namespace nsrun {
namespace {

constexpr std::size_t max_output = 64 << 10;  // bytes; the rest is read and forgotten
// Who writes without end gets 64 KiB a turn and a pause, so that others get theirs.
constexpr int reads_a_turn = 16;
constexpr auto pause_between_turns = 1ms;

// In the child. Only what is safe between fork and exec.
int become(const std::vector<const char*>& argv, pid_t parent, int last_signal) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, last_signal);
  if (::getppid() != parent) return static_cast<int>(ExitCode::failed);
  ::execvp(argv[0], const_cast<char* const*>(argv.data()));
  return static_cast<int>(errno == ENOENT ? ExitCode::not_found : ExitCode::not_executable);
}

enum class Output { over, taken, more };

// What is there by now.
Output take_output(int pipe, std::string& output) {
  char buffer[4096];
  for (int i = 0; i < reads_a_turn; ++i) {
    const auto got = ::read(pipe, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN ? Output::taken : Output::over;
    output.append(buffer, std::min(static_cast<std::size_t>(got), max_output - output.size()));
  }
  return Output::more;
}

Task<> read_on(Descriptor& pipe, std::string& output) {
  for (;;) {
    const auto taken = take_output(pipe.native_handle(), output);
    if (taken == Output::over) co_return;
    if (taken == Output::more) co_await sleep_for(pause_between_turns);
    if (!co_await readable(pipe)) co_return;
  }
}

// What it leaves running may keep the pipe open, and it may close its own: its own end is what counts.
Task<> until_ended(Descriptor& pidfd, Descriptor& pipe, std::string& output, Clock::duration limit) {
  const auto end = [](Descriptor& of) -> Task<> { co_await readable(of); };
  const auto read = [](Descriptor& from, std::string& into, Clock::duration longest) -> Task<> {
    co_await read_on(from, into);
    co_await sleep_for(longest);
  };
  co_await either(end(pidfd), read(pipe, output, limit));
}

// What has not been waited for goes, with what it started.
struct Grouped {
  ~Grouped() {
    if (process.pid() > 0) signal_group(process, SIGKILL);
  }
  Process process;
};

struct OutputPipe {
  UniqueFd ours, its_output, its_errors;
};

Result<OutputPipe> output_pipe(const std::string& name) {
  const std::string doing = "cannot make a pipe to run '" + name + "'";
  auto ends = make_pipe(doing);
  if (!ends) return ends.error();
  UniqueFd its_errors(::fcntl(ends->writing.get(), F_DUPFD_CLOEXEC, 3));
  OutputPipe pipe{std::move(ends->reading), std::move(ends->writing), std::move(its_errors)};
  if (!pipe.its_errors || ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) < 0) return errno_error(doing);
  return pipe;
}

Result<std::shared_ptr<Descriptor>> descriptor(Executor executor, UniqueFd fd) {
  const auto made = std::make_shared<Descriptor>(executor);
  boost::system::error_code trouble;
  made->assign(fd.get(), trouble);
  if (trouble) return Error{"cannot wait for a child process", trouble};
  fd.release();
  return made;
}

}  // namespace

Result<UniqueFd> open_nothing() {
  UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return errno_error("cannot open /dev/null");
  return nothing;
}

Command grouped_command(const std::vector<std::string>& argv, int last_signal) {
  std::vector<const char*> words;
  for (const auto& word : argv) words.push_back(word.c_str());
  words.push_back(nullptr);
  Command command;
  command.first_fd = STDIN_FILENO;
  command.usual_signals = true;
  command.run = [words = std::move(words), parent = ::getpid(), last_signal] {
    return become(words, parent, last_signal);
  };
  return command;
}

Result<Process> start_grouped(Command& command) {
  auto process = start(command);
  if (process) ::setpgid(process->pid(), process->pid());  // whoever is first, the child or we
  return process;
}

void signal_group(const Process& process, int signal) {
  if (::kill(-process.pid(), signal) != 0) process.kill(signal);
}

Result<std::shared_ptr<Descriptor>> end_of(const Process& process, Executor executor) {
  UniqueFd own(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 3));
  if (!own) return errno_error("cannot wait for a child process");
  return descriptor(executor, std::move(own));
}

Task<Result<ProgramResult>> run_program(Executor executor, std::vector<std::string> argv,
                                        Clock::duration limit) {
  const std::string name = argv.back();
  auto pipe = output_pipe(name);
  if (!pipe) co_return pipe.error();
  auto nothing = open_nothing();
  if (!nothing) co_return nothing.error();
  const auto output = descriptor(executor, std::move(pipe->ours));
  if (!output) co_return output.error();
  auto command = grouped_command(argv, SIGKILL);
  command.extra_fds.push_back(std::move(*nothing));
  command.extra_fds.push_back(std::move(pipe->its_output));
  command.extra_fds.push_back(std::move(pipe->its_errors));
  auto process = start_grouped(command);
  if (!process) co_return process.error();
  Grouped child{std::move(*process)};
  const auto ended = end_of(child.process, executor);
  if (!ended) co_return ended.error();
  ProgramResult result;
  const bool in_time =
      co_await either(until_ended(**ended, **output, result.output, limit), sleep_for(limit));
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (!in_time) co_return Error{"'" + name + "' did not end in time", errno_code(ETIMEDOUT)};
  take_output((*output)->native_handle(), result.output);
  result.status = child.process.wait();
  co_return result;
}

}  // namespace nsrun
