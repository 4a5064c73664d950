#include "container/agent.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <optional>
#include <tuple>

#include "container/closed/covers.h"
#include "container/closed/filter.h"
#include "container/closed/guarded_files.h"
#include "container/closed/kernel_files.h"
#include "container/closed/locked_mounts.h"
#include "container/closed/proc_text.h"
#include "container/closed/unix_connect_broker.h"
#include "container/closed/unix_connect_trap.h"
#include "container/command/capabilities.h"
#include "container/command/descendants.h"
#include "container/command/descriptors.h"
#include "container/command/supervisor.h"
#include "container/container.h"
#include "container/device/guest_network.h"
#include "container/device/packet_pump.h"
#include "container/files/etc_covers.h"
#include "container/files/resolv_conf.h"
#include "container/files/text_covers.h"
#include "container/seccomp/connect_trap.h"
#include "runtime/handshake.h"

// The agent's life: the host maps its ids, it prepares the namespaces, hands the device over, starts the
// command, looks after it, reports, and waits for the host to leave. Whatever goes wrong before the command
// runs is told to the host as one `failed`, and ends the agent.
//
// It never executes a program, so it keeps the full capabilities in its user namespace that clone(2) gave it;
// the command has them taken away after the fork.
//
// A closed sandbox is made in two steps. The agent is cloned into outer user, pid and mount namespaces,
// covers there what leads outside, while it still sees which sockets are bound there, and goes on into the
// inner namespaces: closed/locked_mounts.h says why.

namespace nsrun {
namespace {

constexpr auto hosts_path = "/etc/hosts";

int status_of(ExitCode code) { return static_cast<int>(code); }

// Nothing from a terminal or another process ends or stops the agent, short of SIGKILL and SIGSTOP.
void be_steadfast() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // An ignored SIGCHLD, inherited, would have the kernel reap our children before we learn their status.
  ::signal(SIGCHLD, SIG_DFL);
  // Stopped together with its process group, it still notices that the host dies.
  ::prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0);
}

Result<void> map_ids(int host, const IdMaps& ids) {
  if (ids.uid_lines.empty()) return {};
  Message request{MessageType::map_ids, ids.with_newuidmap};
  request.body = ids.uid_lines + '\0' + ids.gid_lines;
  if (request.body.size() > max_message_body)
    return Error{"too many id ranges in /etc/subuid and /etc/subgid",
                 {},
                 "join or remove some",
                 ExitCode::no_id_ranges};
  if (auto sent = send_message(host, request); !sent) return sent;
  auto answer = receive_message(host);
  if (!answer) return answer.error();
  if (!*answer) return Error{"the host left before it mapped the ids"};
  const Message& message = **answer;
  if (message.type == MessageType::ids_mapped && message.body.empty()) return {};
  const auto exit = message.number ? static_cast<ExitCode>(message.number) : ExitCode::no_namespace;
  return Error{message.body.empty() ? "the host did not map the ids" : message.body, {}, {}, exit};
}

void warn(int host, const Error& error) {
  Message warning{MessageType::warning};
  warning.body = error.message();
  (void)send_message(host, warning);
}

Result<void> lay_copies(const std::vector<std::string>& files) {
  if (files.empty()) return {};
  auto covers = TextCovers::open();
  if (!covers) return covers.error();
  for (const auto& file : files)
    if (auto done = covers->cover(file, proc_text(AT_FDCWD, file)); !done) return done;
  return {};
}

Result<void> cover_hosts(const std::string& text) {
  auto covers = TextCovers::open();
  if (!covers) return covers.error();
  return covers->cover_link(hosts_path, text);
}

std::vector<std::string> covered_files(const AgentOptions& options) {
  std::vector<std::string> paths;
  if (options.resolv_conf) paths.push_back("/etc/resolv.conf");
  if (options.hosts) paths.push_back(hosts_path);
  return paths;
}

// Those that go with the inner user namespace.
int inner_flags(const AgentOptions& options) {
  return CLONE_NEWNET | CLONE_NEWIPC | (options.namespaces.uts ? CLONE_NEWUTS : 0);
}

bool has_broker(const AgentOptions& options) {
  return options.closed && !leaves_unix_open(options.allowed_unix);
}

// Keys on it reach a process group, and shells watch over one: the command has to stay in ours.
bool has_terminal() { return static_cast<bool>(UniqueFd(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC))); }

// `doors`: what is found about the sockets that stay reachable.
Result<void> prepare_mounts(int host, const AgentOptions& options, UnixConnectRules& doors) {
  if (auto done = separate_mounts(); !done) return done;
  if (options.namespaces.pid || options.closed)
    if (auto done = mount_proc(); !done) return done;
  if (options.closed) {
    if (auto done = close_kernel_files(); !done) return done;
    if (auto done = guard_files(options.guarded_files); !done) return done;
  }
  if (has_broker(options)) {
    auto allowed = cover_socket_directories(options.allowed_unix);
    if (!allowed) return allowed.error();
    doors.allowed = std::move(*allowed);
  }
  if (auto done = lay_copies(options.own_copies); !done) warn(host, done.error());
  if (options.hosts)
    if (auto done = cover_hosts(*options.hosts); !done) warn(host, done.error());
  if (!options.resolv_conf) return {};
  NetworkOptions network = options.network;
  network.ipv6 = network.ipv6 && kernel_has_ipv6();
  if (auto done = replace_resolv_conf(network); !done) warn(host, done.error());
  return {};
}

Result<Container> open_sandbox(int host, const AgentOptions& options, UnixConnectRules& doors) {
  if (auto done = map_ids(host, options.ids); !done) return done.error();
  if (auto done = prepare_mounts(host, options, doors); !done) return done.error();
  if (options.closed)
    if (auto done = lock_mounts(inner_flags(options)); !done) return done.error();
  if (has_broker(options)) {
    auto proc = proc_of_our_own();
    if (!proc) return proc.error();
    doors.proc = std::move(*proc);
  }
  // Not before: nobody could open /proc/PID/uid_map of a process that is not dumpable.
  protect_from_ptrace();
  adopt_orphans();
  // A copy, so that a failure can still be told on the other one.
  UniqueFd copy(::fcntl(host, F_DUPFD_CLOEXEC, 3));
  if (!copy) return errno_error("cannot copy the socket to the host");
  auto container = Container::open(std::move(copy), options.network);
  if (!container) return container;
  if (auto done = container->setup_network(); !done) return done.error();
  return container;
}

// In the process that becomes the command, as are all three. `doors`: the host's end, -1 for none.
Result<bool> accelerate(int host, Acceleration wish, int doors) {
  auto listener = trap_connects();
  if (listener) {
    if (auto offered = offer_connects(host, std::move(*listener), doors, true); !offered)
      return offered.error();
    return true;
  }
  if (!is_untrapped(listener.error())) return listener.error();
  if (wish == Acceleration::on) warn(host, listener.error());
  return false;
}

Result<void> close_doors(int host, int doors) {
  auto listener = trap_doors();
  if (!listener) return listener.error();
  return offer_connects(host, std::move(*listener), doors, false);
}

// A process in the terminal's background that reads or changes it stops its whole process group. One that
// ignores these signals stops nobody: it reads EIO. In a group that is shared with outside they stay ignored
// (closed/filter.cc).
void ignore_terminal_stops() {
  ::signal(SIGTTIN, SIG_IGN);
  ::signal(SIGTTOU, SIG_IGN);
}

Result<void> confine(int host, const AgentOptions& options, bool own_group, int doors) {
  if (options.closed && !own_group) ignore_terminal_stops();
  if (options.closed)
    if (auto done = put_on_closed_filter({leaves_unix_open(options.allowed_unix), !own_group}); !done)
      return done;
  bool accelerated = false;
  if (options.acceleration != Acceleration::off) {
    const auto tried = accelerate(host, options.acceleration, doors);
    if (!tried) return tried.error();
    accelerated = *tried;
  }
  return accelerated || doors < 0 ? Result<void>() : close_doors(host, doors);
}

struct StartedCommand {
  pid_t pid = 0;
  std::optional<UnixConnectBroker> doors;
};

Result<StartedCommand> start_command(int host, const AgentOptions& options, UnixConnectRules rules) {
  GuestCommand command = options.command;
  command.own_group = options.closed && !has_terminal();
  UniqueFd ours, hosts;
  if (has_broker(options)) {
    auto ends = handshake_pair();
    if (!ends) return ends.error();
    std::tie(ours, hosts) = std::move(*ends);
  }
  command.prepare = [&] { return confine(host, options, command.own_group, hosts.get()); };
  const auto pid = start_guest_command(command);
  if (!pid) return pid.error();
  StartedCommand started{*pid, {}};
  if (!ours) return started;
  hosts.reset();
  auto word = receive_message(ours.get());  // sent before the command was executed
  if (!word || !*word || (*word)->fds.size() != 1) return Error{"nobody keeps the doors of the sandbox"};
  started.doors.emplace(std::move(rules), std::move(ours), std::move((*word)->fds[0]));
  return started;
}

int give_up(int host, const Error& error) {
  Message message{MessageType::failed, status_of(error.exit)};
  message.body = error.message();
  (void)send_message(host, message);
  return message.number;
}

// Until nothing of the sandbox runs any more.
int look_after(int host, StartedCommand& command, Supervisor& supervisor, std::optional<EtcCovers> covers) {
  (void)send_message(host, {MessageType::started, command.pid});
  const auto status =
      supervisor.run(command.pid, command.doors ? &*command.doors : nullptr, covers ? &*covers : nullptr);
  if (!status) return status_of(ExitCode::failed);
  (void)send_message(host, {MessageType::exited, *status});
  (void)wait_for_hang_up(host);
  return *status;
}

}  // namespace

int agent_clone_flags(const AgentOptions& options) {
  if (!options.closed) return clone_flags(options.namespaces);
  return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
}

int run_agent(int handshake_fd, const AgentOptions& options) {
  be_steadfast();
  const UniqueFd host(handshake_fd);
  ::fcntl(host.get(), F_SETFD, FD_CLOEXEC);
  auto kept = options.kept_fds;
  kept.push_back(host.get());
  if (auto done = close_all_but(std::move(kept)); !done) return give_up(host.get(), done.error());

  UnixConnectRules doors;
  auto container = open_sandbox(host.get(), options, doors);
  if (!container) return give_up(host.get(), container.error());
  auto covers = EtcCovers::watch(covered_files(options));
  auto supervisor = Supervisor::open(host.get(), options.linger);
  if (!supervisor) return give_up(host.get(), supervisor.error());
  auto command = start_command(host.get(), options, std::move(doors));
  if (!command) return give_up(host.get(), command.error());
  leave_standard_streams();
  std::vector<int> needed = supervisor->descriptors();
  needed.insert(needed.end(), {host.get(), container->host()});
  for (const UniqueFd& queue : container->queues()) needed.push_back(queue.get());
  if (covers)
    for (const int fd : covers->descriptors()) needed.push_back(fd);
  if (command->doors)
    for (const int fd : {command->doors->requests(), command->doors->listener(), command->doors->proc()})
      needed.push_back(fd);
  (void)close_all_but(std::move(needed));
  return look_after(host.get(), *command, *supervisor, std::move(covers));
}

}  // namespace nsrun
