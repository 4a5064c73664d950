#include "container/command/supervisor.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "container/command/sockets_for_host.h"
#include "runtime/command.h"

// One thread, two sources: the host's socket and SIGCHLD; in a closed sandbox also what the host asks of the
// broker. Everything that ends below us ends up as our child
// (descendants.h), so waitpid's ECHILD means that the sandbox is empty. Signals are all blocked, so that
// nothing from the terminal, which host, agent and command share as one foreground process group, can end
// or stop the agent; the command hears the terminal directly, and what came to nsrun alone from the host.
//
// The command may have our user id, and then it may set our resource limits (prlimit(2)); a closed sandbox's
// filter forbids that, others do not. So the supervisor needs no new descriptor once the command runs, and
// waits with epoll: poll(2) of more descriptors than RLIMIT_NOFILE is EINVAL. Where waiting fails all the
// same, the sandbox ends as if the host had left.

namespace nsrun {
namespace {

constexpr int max_events = 4;  // one for each source

UniqueFd child_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

bool watch(int events, int source) {
  epoll_event event{EPOLLIN, {}};
  event.data.fd = source;
  return ::epoll_ctl(events, EPOLL_CTL_ADD, source, &event) == 0;
}

void drain(int signals) {
  signalfd_siginfo information;
  while (::read(signals, &information, sizeof information) > 0) {
  }
}

}  // namespace

Result<Supervisor> Supervisor::open(int host, bool linger) {
  UniqueFd signals = child_signals();
  UniqueFd events(::epoll_create1(EPOLL_CLOEXEC));
  if (!signals || !events || !watch(events.get(), signals.get()) || !watch(events.get(), host))
    return errno_error("cannot watch over the sandbox's processes");
  return Supervisor(host, linger, std::move(signals), std::move(events));
}

std::optional<int> Supervisor::run(pid_t command, UnixConnectBroker* doors, EtcCovers* covers) {
  command_ = command;
  doors_ = doors;
  covers_ = covers;
  State state = State::running;
  if (doors_ && !watch(events_.get(), doors_->requests())) state = State::host_gone;
  if (covers_ && !watch(events_.get(), covers_->events())) state = State::host_gone;
  while (state == State::running) {
    drain(signals_.get());
    reap();
    if (finished()) return status_;
    epoll_event ready[max_events];
    const int count = ::epoll_wait(events_.get(), ready, max_events, -1);
    if (count < 0 && errno != EINTR) state = State::host_gone;
    for (int i = 0; i < count && state == State::running; ++i) state = serve(ready[i].data.fd);
  }
  descendants_.end();
  return std::nullopt;
}

Supervisor::State Supervisor::serve(int source) {
  if (source == host_) return hear_host();
  if (covers_ && source == covers_->events()) covers_->serve();
  if (doors_ && source == doors_->requests() && !doors_->serve()) {
    ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, source, nullptr);
    doors_ = nullptr;
  }
  return State::running;
}

bool Supervisor::finished() {
  if (!status_) return false;
  if (!childless_ && linger_) return false;
  if (!childless_) descendants_.end();
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
  for (const pid_t child : descendants_.children()) ::kill(child, signal);
}

}  // namespace nsrun
