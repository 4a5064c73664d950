#include "cmd/run.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <cstdlib>
#include <optional>

#include "cmd/lesson.h"
#include "cmd/reporter.h"
#include "cmd/signals.h"
#include "container/agent.h"
#include "container/descriptors.h"
#include "host/dialers/dial_url.h"
#include "host/host.h"

namespace nsrun {
namespace {

constexpr auto longest_goodbye = 1s;  // for flows to end once the command has

// Follows the command to its end.
class Follower final : public SandboxListener {
 public:
  void follow(Host& host) { host_ = &host; }
  const std::optional<int>& status() const { return status_; }

  void stopped(int) override {
    stop_with_command();
    host_->resume();
  }
  void exited(int status) override { status_ = status; }
  void failed(const Error& error) override {
    if (!status_) status_ = fail(error);
  }
  void ended() override {
    if (!status_) status_ = fail({"the sandbox's agent was killed, and the command with it"});
  }

 private:
  Host* host_ = nullptr;
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
  if (accelerates(options)) agent.acceleration = options.acceleration;
  agent.closed = options.closed;
  agent.allowed_unix = options.allowed_unix;
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
  host.host_loopback = options.host_loopback;
  host.latency = options.latency;
  host.publish = options.publish;
  host.forwards = options.forwards;
  host.dialer = [url = options.dial](Executor executor) { return dialer_from_url(url, executor).value(); };
  host.dialer_resolves_names = resolves_names(options.dial);
  host.capture = options.capture;
  host.control = options.control;
  if (options.policy.sources.has_files())
    host.reload = [sources = options.policy.sources] { return sources.load(); };
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
  for (const int fd : agent.kept_fds) command.first_fd = std::max(command.first_fd, fd + 1);
  command.run = [&agent, fd = command.first_fd] { return run_agent(fd, agent); };
  return command;
}

// Runs the loop until the command has ended, and every flow has been written down; `at_end` is called then.
int follow_to_the_end(const RunOptions& options, asio::io_context& context, Host& host,
                      const Follower& follower, Process& child, const std::function<void()>& at_end) {
  asio::cancellation_signal no_more_signals;
  asio::co_spawn(
      context,
      forward_signals(context, {.forward = [&host](int signal) { host.send_signal(signal); },
                                .at_end = [&host] { host.hurry(); },
                                .reload = options.policy.sources.has_files()
                                              ? std::function<void()>([&host] { host.reload_policy(); })
                                              : std::function<void()>()}),
      asio::bind_cancellation_slot(no_more_signals.slot(), [](std::exception_ptr) {}));
  while (!follower.status()) context.run_one();
  host.close();
  no_more_signals.emit(asio::cancellation_type::terminal);
  context.run_for(longest_goodbye);
  // The agent is left to itself: it ends when our end of the channel closes, and takes the device down then,
  // which takes the kernel some 30 ms that nobody need wait for.
  child.release();
  at_end();
  // A name that is being looked up cannot be interrupted (getaddrinfo), and the loop's end would wait for it.
  if (!context.stopped()) std::_Exit(*follower.status());
  return *follower.status();
}

Result<int> run_sandbox(const RunOptions& options, std::vector<int> kept_fds) {
  const auto agent = agent_options(options, std::move(kept_fds));
  if (!agent) return agent.error();
  auto opened = Reporter::open(options.log, options.summary, options.quiet);
  if (!opened) return opened.error();
  Reporter& reporter = **opened;
  warn_of_acceleration(options, reporter);
  Follower follower;
  Lesson lesson(options.policy.learn, options.command);
  auto settings = host_options(options, reporter, follower);
  if (!settings) return settings.error();
  settings->learner = lesson.learner();

  asio::io_context context(1);
  Host host(context, std::move(*settings));
  follower.follow(host);
  Command command = command_for(*agent);
  if (auto attached = host.attach_to_cmd(command); !attached) return attached.error();
  hold_signals();
  auto child = start(command);
  if (!child) return child.error();
  raise_descriptor_limit();  // the command, started before, keeps what it had
  return follow_to_the_end(options, context, host, follower, *child, [&] {
    reporter.sum_up();
    if (const auto written = lesson.write(); !written) fail(written.error());
  });
}

}  // namespace

int run_command(const RunOptions& options) {
  auto kept_fds = inherited_descriptors();
  try {
    const auto status = run_sandbox(options, std::move(kept_fds));
    return status ? *status : fail(status.error());
  } catch (const ErrorException& error) {
    return fail(error.error());
  } catch (const boost::system::system_error& error) {
    return fail({"cannot run the sandbox", error.code()});
  }
}

}  // namespace nsrun
