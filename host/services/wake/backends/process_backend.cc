#include "host/services/wake/backends/process_backend.h"

#include <poll.h>
#include <signal.h>

#include "host/services/wake/backends/run_program.h"
#include "runtime/cancellation.h"

namespace nsrun {
namespace {

constexpr auto well_after = 1min;             // it ran so long: its end is news again
constexpr auto early = 10s;                   // who ends so soon has hardly served anybody
constexpr std::size_t max_process_name = 60;  // bytes

std::string one_line(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  if (text.size() <= max_process_name) return text;
  std::size_t size = max_process_name;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;  // whole characters
  return text.substr(0, size) + "…";
}

// How the shell and we say that there was nothing to run.
bool is_not_run(int status) {
  return status == static_cast<int>(ExitCode::not_found) ||
         status == static_cast<int>(ExitCode::not_executable);
}

std::string describe_end(const std::string& name, int status, bool was_early) {
  const std::string quoted = "'" + name + "'";
  if (status > 128) return quoted + " ended by itself, with signal " + std::to_string(status - 128);
  const auto number = std::to_string(status);
  if (was_early && is_not_run(status))
    return "cannot run " + quoted + ": it is not there, or no program (status " + number + ")";
  std::string text = quoted + " ended by itself, with status " + number;
  if (was_early && status == 0)
    text += " (one that goes into the background cannot be stopped: keep it in the foreground)";
  return text;
}

}  // namespace

ProcessBackend::Program ProcessBackend::shell(const std::string& command) {
  std::vector<std::string> argv = {"/bin/sh", "-c", command};
  return {one_line(command), std::move(argv)};
}

ProcessBackend::ProcessBackend(Executor executor, Program program, Clock::duration stop_limit, Say say)
    : executor_(executor),
      program_(std::move(program)),
      stop_limit_(stop_limit),
      say_(std::move(say)),
      started_(executor) {}

ProcessBackend::~ProcessBackend() {
  if (is_alive()) bury();
}

Task<Result<Backend::Status>> ProcessBackend::status() {
  if (!is_alive()) co_return Status::idle;
  if (!has_ended()) co_return Status::running;
  tell_of_end(bury());
  co_return Status::idle;
}

Task<Result<void>> ProcessBackend::start() {
  if (is_alive() && !has_ended()) co_return Result<void>();
  if (is_alive()) tell_of_end(bury());
  auto nothing = open_nothing();
  if (!nothing) co_return nothing.error();
  auto command = grouped_command(program_.argv, SIGTERM);
  command.extra_fds.push_back(std::move(*nothing));
  auto process = start_grouped(command);
  if (!process) co_return process.error();
  process_ = std::move(*process);
  begun_ = Clock::now();
  auto end = end_of(process_, executor_);
  if (!end) {
    bury();
    co_return end.error();
  }
  end_ = std::move(*end);
  started_.raise();
  co_return Result<void>();
}

Task<Result<void>> ProcessBackend::stop() {
  said_.clear();
  if (!is_alive()) co_return Result<void>();
  const auto end = end_;
  signal_group(process_, SIGTERM);
  co_await within(stop_limit_, readable(*end));
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (!is_alive()) co_return Result<void>();
  signal_group(process_, SIGKILL);
  co_await readable(*end);
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (is_alive()) bury();
  co_return Result<void>();
}

Task<> ProcessBackend::watch(std::function<void()> changed) {
  for (;;) {
    co_await started_.wait();
    if (!is_alive()) continue;
    const auto end = end_;
    co_await readable(*end);
    unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
    changed();
  }
}

bool ProcessBackend::has_ended() const {
  pollfd ended{process_.pidfd(), POLLIN, 0};
  return ::poll(&ended, 1, 0) > 0;
}

// It ends now, if it has not, with all of its group.
int ProcessBackend::bury() {
  signal_group(process_, SIGKILL);
  const int status = process_.wait();
  process_ = Process();
  end_.reset();
  return status;
}

// One that is started again and again ends again and again.
void ProcessBackend::tell_of_end(int status) {
  const auto ran = Clock::now() - begun_;
  if (ran >= well_after) said_.clear();
  auto text = describe_end(program_.name, status, ran < early);
  if (text == said_) return;
  say_(text);
  said_ = std::move(text);
}

}  // namespace nsrun
