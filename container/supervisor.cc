#include "container/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "container/descendants.h"
#include "container/sockets_for_host.h"
#include "runtime/command.h"

// One thread, two sources: the host's socket and SIGCHLD; in a closed sandbox also what the host asks of the
// doorkeeper. Everything that ends below us ends up as our child
// (descendants.h), so waitpid's ECHILD means that the sandbox is empty. Signals are all blocked, so that
// nothing from the terminal, which host, agent and command share as one foreground process group, can end
// or stop the agent; the command hears the terminal directly, and what came to nsrun alone from the host.

namespace nsrun {
namespace {

UniqueFd child_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

void drain(int signals) {
  signalfd_siginfo information;
  while (::read(signals, &information, sizeof information) > 0) {
  }
}

}  // namespace

std::optional<int> Supervisor::run() {
  const UniqueFd signals = child_signals();
  for (;;) {
    drain(signals.get());
    reap();
    if (finished()) return status_;
    pollfd sources[] = {
        {signals.get(), POLLIN, 0}, {host_, POLLIN, 0}, {doors_ ? doors_->requests() : -1, POLLIN, 0}};
    if (::poll(sources, 3, -1) < 0) continue;
    if (sources[2].revents && !doors_->serve()) doors_ = nullptr;
    if (sources[1].revents && hear_host() == State::host_gone) {
      end_descendants();
      return std::nullopt;
    }
  }
}

bool Supervisor::finished() {
  if (!status_) return false;
  if (!childless_ && linger_) return false;
  if (!childless_) end_descendants();
  return true;
}

void Supervisor::reap() {
  int status = 0;
  pid_t pid;
  while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
    if (doors_ && !WIFSTOPPED(status) && !WIFCONTINUED(status)) doors_->ended(pid);
    if (pid != command_) continue;
    stopped_ = WIFSTOPPED(status);
    if (WIFCONTINUED(status)) continue;
    if (stopped_)
      (void)send_message(host_, {MessageType::stopped, WSTOPSIG(status), std::to_string(++stops_)});
    else
      status_ = exit_status(status);
  }
  childless_ = pid < 0;
}

Supervisor::State Supervisor::hear_host() {
  auto message = receive_message(host_);
  if (!message || !*message) return State::host_gone;
  if ((*message)->type == MessageType::resume) resume((*message)->body);
  if ((*message)->type == MessageType::signal) pass_signal((*message)->number);
  if ((*message)->type == MessageType::make_sockets) make_sockets_for(host_, **message);
  return State::running;
}

// A shell continues the whole job at once, so that the command has mostly gone on by the time nsrun runs
// again and says so. A SIGCONT then would be no mere repetition: it takes back the next Ctrl-Z, if that is
// under way.
void Supervisor::resume(const std::string& stop) {
  reap();
  if (!status_ && stopped_ && stop == std::to_string(stops_)) ::kill(command_, SIGCONT);
}

void Supervisor::pass_signal(int signal) const {
  if (signal < 1 || signal > SIGRTMAX) return;
  if (!status_) {
    ::kill(command_, signal);
    return;
  }
  // The command is gone and others linger: they are all that can be meant.
  for (const pid_t child : children()) ::kill(child, signal);
}

}  // namespace nsrun
