#include "cmd/run.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <cstdlib>
#include <optional>

#include "cmd/forced_exit.h"
#include "cmd/foreground.h"
#include "cmd/learn_session.h"
#include "cmd/reporter.h"
#include "cmd/signals.h"
#include "container/agent.h"
#include "container/command/descriptors.h"
#include "container/files/ssh_config.h"
#include "host/names/hosts_file.h"
#include "host/outside/dial_url.h"
#include "host/policy/guest_hosts.h"
#include "host/policy/sandbox_rules.h"
#include "host/sandbox/host.h"
#include "host/services/loop_watchdog.h"

namespace nsrun {
namespace {

constexpr auto hosts_file = "/etc/hosts";
constexpr auto max_goodbye = 1s;         // for flows to end once the command has
constexpr auto hurried_goodbye = 400ms;  // likewise, after a signal that asked for the end
constexpr int max_agent_end = 500;       // milliseconds, after its command; then it is left behind

// Follows the command to its end.
class Follower final : public SandboxListener {
 public:
  void follow(Host& host) { host_ = &host; }
  const std::optional<int>& status() const { return status_; }
  const Foreground& foreground() const { return foreground_; }

  void stopped(int) override {
    stop_with_command();
    foreground_.look_again();
    host_->resume();
  }
  void exited(int status) override { status_ = status; }
  void failed(const Error& error) override {
    if (!status_) status_ = fail(error);
  }
  // The command does not end, and is not waited for any more.
  void give_up() {
    if (status_) return;
    (void)fail({"the command did not end after a second SIGTERM", {}, "what is left of it is killed"});
    status_ = 128 + SIGTERM;
  }
  void ended() override {
    if (!status_) status_ = fail({"the sandbox's agent was killed, and the command with it"});
  }

 private:
  Host* host_ = nullptr;
  Foreground foreground_;
  std::optional<int> status_;
};

// A new policy, or somebody at the control socket, may end flows that live.
bool may_cut(const RunOptions& options) {
  return !options.control.empty() || options.policy.sources.has_files();
}

// A capture is to show everything, so everything goes through the device. So it does where flows may be cut:
// the guest has the very socket of an accelerated one, unless that was asked for all the same.
bool accelerates(const RunOptions& options) {
  if (options.acceleration == Acceleration::off || !options.capture.empty()) return false;
  return options.acceleration == Acceleration::on || !may_cut(options);
}

void warn_of_acceleration(const RunOptions& options, Reporter& reporter) {
  if (options.acceleration != Acceleration::on) return;
  if (!accelerates(options))
    reporter.warning("nothing is accelerated: with --pcap everything goes through the device");
  else if (may_cut(options))
    reporter.warning(
        "accelerated connections cannot be cut, nor are they told of: they are the command's own");
}

Result<AgentOptions> agent_options(const RunOptions& options, std::vector<int> kept_fds) {
  AgentOptions agent;
  agent.command.argv = options.command;
  agent.command.privileged = options.map_root;
  agent.network = options.network;
  agent.namespaces = {options.pid, options.uts, options.ipc};
  agent.resolv_conf = options.resolv_conf;
  if (options.resolv_conf && options.rules)
    agent.hosts = guest_hosts(WatchedFile(hosts_file, HostsFile::max_size).changed().value_or(""),
                              *options.rules, Resolvers().current());
  agent.own_copies = root_owned_ssh_files();
  if (accelerates(options)) agent.acceleration = options.acceleration;
  agent.closed = options.closed;
  agent.allowed_unix = options.allowed_unix;
  if (options.closed) agent.guarded_files = options.policy.sources.file_paths();
  agent.linger = options.linger;
  agent.kept_fds = std::move(kept_fds);
  if (!options.map_auto) {
    agent.ids = single_id_map(options.map_root);
    return agent;
  }
  auto ids = full_id_map(options.map_root);
  if (!ids) return ids.error();
  agent.ids = std::move(*ids);
  return agent;
}

Result<HostOptions> host_options(const RunOptions& options, Events& events, SandboxListener& listener) {
  // Said before anything starts: a wrong URL is an error of usage.
  asio::io_context scratch;
  if (auto checked = dialer_from_url(options.dial, scratch.get_executor()); !checked) return checked.error();
  HostOptions host;
  host.network = options.network;
  host.rules = options.rules;
  host.ask_command = options.policy.ask;
  host.ask_limit = options.policy.ask_limit;
  host.hosts_file = hosts_file;
  host.host_loopback = options.host_loopback;
  host.latency = options.latency;
  host.memory = options.memory;
  host.publish = options.publish;
  host.forwards = options.forwards;
  // The host's own direct dialer keeps one port outside for all flows of a guest's UDP socket.
  if (!dials_directly(options.dial))
    host.dialer = [url = options.dial](Executor executor) { return dialer_from_url(url, executor).value(); };
  host.dialer_resolves_names = resolves_names(options.dial);
  host.capture = options.capture;
  host.control = options.control;
  if (options.policy.sources.has_files()) {
    auto sources = options.policy.sources;
    if (options.closed)
      if (auto held = sources.hold_files(); !held) return held.error();
    host.reload = [sources] { return load_for_sandbox(sources); };
  }
  host.accelerate = accelerates(options);
  host.closed = options.closed;
  host.events = &events;
  host.listener = &listener;
  return host;
}

Command command_for(const AgentOptions& agent) {
  Command command;
  command.clone_flags = agent_clone_flags(agent);
  command.ids_from_host = true;
  const auto is_kept = [&](int fd) {
    return std::find(agent.kept_fds.begin(), agent.kept_fds.end(), fd) != agent.kept_fds.end();
  };
  while (is_kept(command.first_fd)) ++command.first_fd;
  command.run = [&agent, fd = command.first_fd] { return run_agent(fd, agent); };
  return command;
}

// The agent ends as our end of the channel closes. A first process of a container that does not reap would
// keep what we left to it. One that the kernel keeps is left behind all the same.
void reap(Process& agent) {
  pollfd ended{agent.pidfd(), POLLIN, 0};
  if (::poll(&ended, 1, max_agent_end) > 0)
    agent.wait();
  else
    agent.release();
}

// Runs the loop until the command has ended, and every flow has been written down; `at_end` is called then.
int follow_to_the_end(const RunOptions& options, asio::io_context& context, Host& host, Follower& follower,
                      Process& child, const std::function<void()>& at_end) {
  ForcedExit forced_exit(context, {.agent = child.pid(),
                                   .is_over = [&follower] { return follower.status().has_value(); },
                                   .give_up = [&follower] { follower.give_up(); }});
  asio::cancellation_signal no_more_signals;
  bool is_hurried = false;
  asio::co_spawn(
      context,
      forward_signals(context, {.forward = [&host](int signal) { host.send_signal(signal); },
                                .at_end =
                                    [&host, &is_hurried] {
                                      is_hurried = true;
                                      host.hurry();
                                    },
                                .terminated = [&forced_exit] { forced_exit.terminated(); },
                                .reload = options.policy.sources.has_files()
                                              ? std::function<void()>([&host] { host.reload_policy(); })
                                              : std::function<void()>()}),
      asio::bind_cancellation_slot(no_more_signals.slot(), [](std::exception_ptr) {}));
  while (!follower.status()) context.run_one();
  host.close();
  no_more_signals.emit(asio::cancellation_type::terminal);
  context.run_for(is_hurried ? hurried_goodbye : max_goodbye);
  reap(child);
  follower.foreground().give_back();
  at_end();
  // What has not ended by now is not waited for.
  if (!context.stopped()) std::_Exit(*follower.status());
  return *follower.status();
}

Result<int> run_sandbox(const RunOptions& options, std::vector<int> kept_fds,
                        std::optional<rlim_t> descriptor_limit) {
  auto agent = agent_options(options, std::move(kept_fds));
  if (!agent) return agent.error();
  agent->command.descriptor_limit = descriptor_limit;
  auto opened = Reporter::open(options.log, options.summary, options.quiet);
  if (!opened) return opened.error();
  Reporter& reporter = **opened;
  warn_of_acceleration(options, reporter);
  Follower follower;
  LearnSession learn_session(options.policy.learn, options.command);
  auto settings = host_options(options, reporter, follower);
  if (!settings) return settings.error();
  settings->learner = learn_session.learner();

  asio::io_context context(1);
  std::optional<LoopWatchdog> watchdog;  // outlives the host, whose end may wait for a file, too
  Host host(context, std::move(*settings));
  follower.follow(host);
  Command command = command_for(*agent);
  if (auto attached = host.attach_to_cmd(command); !attached) return attached.error();
  hold_signals();
  auto child = start(command);
  if (!child) return child.error();
  watchdog.emplace(context);  // a thread: not before the child is there, which is a copy of this process
  return follow_to_the_end(options, context, host, follower, *child, [&] {
    reporter.sum_up();
    if (const auto written = learn_session.write(); !written) fail(written.error());
  });
}

}  // namespace

int run_command(const RunOptions& options) {
  auto kept_fds = inherited_descriptors();
  const auto descriptor_limit = raise_descriptor_limit();
  try {
    const auto status = run_sandbox(options, std::move(kept_fds), descriptor_limit);
    return status ? *status : fail(status.error());
  } catch (const ErrorException& error) {
    return fail(error.error());
  } catch (const boost::system::system_error& error) {
    return fail({"cannot run the sandbox", error.code()});
  }
}

}  // namespace nsrun
