#include "host/sandbox/host_core.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include "netstack/devices/channel_device.h"
#include "netstack/devices/open_device.h"
#include "runtime/id_map.h"

namespace nsrun {
namespace {

// For what the guest sent last, once its command has ended; then connections that still hold some are reset.
constexpr auto patience_without_progress = 2s;
constexpr auto drain_patience = 30s;
constexpr auto patience_when_hurried =
    300ms;  // in all: whoever sends SIGTERM is promised our end in a second

}  // namespace

HostCore::HostCore(asio::io_context& context, HostOptions options)
    : context_(context),
      sandbox_(std::move(options), context.get_executor()),
      listener_(sandbox_.options.listener ? *sandbox_.options.listener : no_listener_),
      worker_(context, sandbox_),
      child_gone_(context.get_executor()),
      published_("published"),
      sockets_(context.get_executor(), [this](Message message) { send(std::move(message)); }),
      publisher_(context.get_executor()),
      forwarder_(context.get_executor(), true),
      policy_reload_(sandbox_) {
  for (const auto& port : sandbox_.options.publish) publisher_.add(port).value();
  for (const auto& forward : sandbox_.options.forwards) forwarder_.add(forward).value();
  if (!sandbox_.options.control.empty())
    control_socket_.emplace(bind_control(sandbox_.options.control).value());
}

Result<void> HostCore::attach(Command& command) {
  if (channel_) return Error{"a host serves one child, and has one already"};
  auto pair = handshake_pair();
  if (!pair) return pair.error();
  channel_ = std::move(pair->first);
  ::fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
  UniqueFd watched(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, 3));
  if (!watched) return errno_error("cannot copy the socket to the child");
  channel_wait_.emplace(context_, watched.release());
  command.extra_fds.push_back(std::move(pair->second));
  return {};
}

void HostCore::start(std::shared_ptr<HostCore> core) {
  auto& self = *core;
  asio::co_spawn(
      self.context_, self.run(),
      asio::bind_cancellation_slot(self.cancel_.slot(), [core = std::move(core)](std::exception_ptr) {}));
}

// Outside the loop Asio keeps a cancellation for later, and the core with it must last until then.
void HostCore::close(std::shared_ptr<HostCore> core) {
  auto& context = core->context_;
  asio::dispatch(context, [core = std::move(core)] {
    if (!core->over_) core->cancel_.emit(asio::cancellation_type::terminal);
  });
}

void HostCore::send(Message message) {
  if (channel_) (void)send_message(channel_.get(), message);
}

// ---- the life of the sandbox

Task<> HostCore::run() {
  // Whatever ends this task early, the others end before it does.
  co_await asio::this_coro::throw_if_cancelled(false);
  try {
    co_await either(hear_child(), child_gone_.wait());
  } catch (const ErrorException& error) {
    refuse_child(error.error());
  } catch (const boost::system::system_error& error) {
    // Cancelled by close(): what follows is the same.
    if (error.code() != asio::error::operation_aborted)
      refuse_child({"cannot carry the sandbox's network", error.code()});
  } catch (const std::exception& error) {
    refuse_child({std::string("cannot carry the sandbox's network: ") + error.what()});
  }
  listener_.ended();
  // The agent ends meanwhile: to end thousands of flows takes a good part of the second that was promised.
  if (is_hurried_) hang_up();
  co_await worker_.end();
  for (auto& other : others_) co_await other->end();
  for (auto& other : others_) co_await other->loop_over();
  if (sandbox_.asked) co_await sandbox_.asked->end();
  hang_up();
  publisher_.close();
  control_.reset();
  over_ = true;
  listener_.closed();
}

void HostCore::hang_up() {
  channel_wait_.reset();
  channel_.reset();
}

// Until the child is gone, or its words are packets. A child that executes another program closes its end,
// and may live on.
Task<> HostCore::hear_child() {
  while (co_await readable(*channel_wait_)) {
    auto message = receive_message(channel_.get());
    if (!message && message.error().code.value() == EAGAIN) continue;
    if (!message || !*message) break;
    if ((*message)->type == MessageType::exited) co_await pass_on_the_rest();
    if (!handle(**message)) break;
  }
  if (worker_.has_begun()) co_await child_gone_.wait();
}

// No process is left inside, but their kernel still holds what they sent last and closed: as it would go on
// delivering that outside a sandbox, it does here, as long as it gets anywhere.
Task<> HostCore::pass_on_the_rest() {
  const auto moved = [this] {
    const auto totals = counters();
    return totals.tcp.bytes_up + totals.tcp.bytes_down + totals.udp.bytes_up + totals.udp.bytes_down;
  };
  const auto began = Clock::now();
  auto last_step = began;
  auto so_far = moved();
  is_passing_on_ = true;
  while (is_passing_on_ && co_await unfinished() > 0) {
    co_await sleep_for(1ms);
    const auto now = Clock::now();
    if (const auto by_now = moved(); by_now != so_far) {
      so_far = by_now;
      last_step = now;
    }
    if (now - last_step > patience_without_progress || now - began > drain_patience) co_return;
    if (is_hurried_ && now - began > patience_when_hurried) co_return;
  }
}

Task<std::size_t> HostCore::unfinished() {
  std::size_t count = worker_.unfinished();
  const auto add = [](Worker& worker, std::size_t& sum) -> Task<> {
    sum += worker.unfinished();
    co_return;
  };
  for (auto& other : others_) co_await run_on(other->worker().context(), add(other->worker(), count));
  co_return count + counters().relays_from_guest;
}

Counters HostCore::counters() {
  Counters sum = worker_.counted();
  for (auto& other : others_) sum += other->worker().counted();
  return sum;
}

bool HostCore::handle(Message& message) {
  switch (message.type) {
    case MessageType::map_ids:
      map_ids(message);
      return true;
    case MessageType::device:
      begin_with_device(message);
      return true;
    case MessageType::pump:
      begin_with_pump(message);
      return false;
    case MessageType::accelerate:
      accelerate(message);
      return true;
    case MessageType::started:
      started_ = true;
      sockets_.agent_listens();
      listener_.started();
      return true;
    case MessageType::stopped:
      last_stop_ = message.body;
      listener_.stopped(message.number);
      return true;
    case MessageType::sockets:
      sockets_.made(std::move(message));
      return true;
    case MessageType::exited:
      listener_.exited(message.number & 0xff);
      return true;
    case MessageType::warning:
      sandbox_.ledger.warning(message.body);
      return true;
    case MessageType::failed:
      listener_.failed({message.body, {}, {}, static_cast<ExitCode>(message.number & 0xff)});
      return true;
    default:
      return true;  // nothing that a child says
  }
}

// Only before the network is there: until then only our own code has run in the child.
void HostCore::map_ids(const Message& message) {
  if (std::exchange(ids_mapped_, true) || worker_.has_begun()) return;
  const auto split = message.body.find('\0');
  Message answer{MessageType::ids_mapped};
  auto written = split == message.body.npos
                     ? Result<void>(Error{"the sandbox asked for no ids"})
                     : write_id_maps(message.sender, message.body.substr(0, split),
                                     message.body.substr(split + 1), message.number == 1);
  if (!written) {
    answer.body = written.error().message();
    answer.number = static_cast<int>(written.error().exit);
  }
  send(std::move(answer));
}

void HostCore::begin_with_device(Message& message) {
  if (worker_.has_begun()) return;
  if (message.fds.empty()) return refuse_child({"the sandbox sent no device"});
  if (message.fds.size() > sandbox_.options.network.queues)
    return refuse_child({"the sandbox's device has more queues than its host has"});
  std::vector<std::unique_ptr<Device>> queues;
  for (auto& fd : message.fds) {
    auto queue = open_device(std::move(fd), sandbox_.options.network.mtu);
    if (!queue) return refuse_child(queue.error());
    queues.push_back(std::move(*queue));
  }
  if (!begin(std::move(queues), message.sender)) return;
  if (forwarder_.listens_inside()) return worker_.tasks().spawn(open_forwards());
  begin_forwards();
  send({MessageType::go});
}

// The command finds what it may connect to: it starts when everything in there is listened at.
Task<> HostCore::open_forwards() {
  const auto opened =
      co_await forwarder_.open_inside([this](int family, int type) { return sockets_.take(family, type); });
  if (!opened) co_return refuse_child(opened.error());
  begin_forwards();
  send({MessageType::go});
}

void HostCore::begin_forwards() {
  forwarder_.begin({sandbox_.ledger, worker_.flows(), worker_.world(), &*guest_dialer_, worker_.tasks(),
                    worker_.tasks(), &worker_.memory()});
}

// From here on the channel carries packets; `go` is the last word on it.
void HostCore::begin_with_pump(const Message& message) {
  if (worker_.has_begun()) return;
  if (forwarder_.listens_inside())
    return refuse_child({"the sandbox keeps its device, so no socket can be listened at in there",
                         {},
                         "leave out forwards that listen at guest+…"});
  send({MessageType::go});
  std::vector<std::unique_ptr<Device>> queues;
  queues.push_back(std::make_unique<ChannelDevice>(UniqueFd(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, 3))));
  if (begin(std::move(queues), message.sender)) begin_forwards();
}

bool HostCore::begin(std::vector<std::unique_ptr<Device>> queues, pid_t child) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!pidfd) return refuse_child(errno_error("cannot watch the sandbox's first process")), false;
  child_ = child;
  worker_.begin(std::move(queues.front()), queues.size());
  for (std::size_t i = 1; i < queues.size(); ++i)
    others_.push_back(
        std::make_unique<WorkerThread>(context_, sandbox_, std::move(queues[i]), queues.size()));
  worker_.tasks().spawn(watch_child(std::move(pidfd)));
  publish();
  if (control_socket_) serve_control();
  listener_.ready();
  return true;
}

// Only the agent may say it, and before the command runs: the command must be under the agent's filter, not
// under one of its own making. Where it fails, the command could connect nothing.
void HostCore::accelerate(Message& message) {
  const auto& options = sandbox_.options;
  if (!(options.accelerate || options.closed) || !worker_.has_begun() || started_) return;
  if (auto begun = worker_.accelerate(std::move(message), child_); !begun) listener_.failed(begun.error());
}

Task<> HostCore::watch_child(UniqueFd pidfd) {
  Descriptor child(context_, pidfd.release());
  if (co_await readable(child)) child_gone_.raise();
}

void HostCore::publish() {
  const auto& options = sandbox_.options;
  guest_dialer_.emplace(context_.get_executor(), worker_.stack(), sockets_, options.network);
  published_flows_.emplace(published_, *guest_dialer_, sandbox_.ledger, worker_.flows(), Asker::client,
                           &worker_.memory());
  const ClientSink sink{.key = {},
                        .request =
                            [this](std::unique_ptr<Request> request) {
                              published_flows_->begin(std::move(request), worker_.tasks());
                            },
                        .trouble = [this](const Error& error) { sandbox_.ledger.dial_failed(error); },
                        .place = {}};
  const GuestAddresses guest{options.network.guest4,
                             options.network.ipv6 ? options.network.guest6 : options.network.guest4};
  publisher_.begin(worker_.tasks(), guest, sink);
}

std::vector<FlowLoop> HostCore::loops() {
  std::vector<FlowLoop> loops{{context_, worker_.flows()}};
  for (auto& other : others_) loops.push_back({other->worker().context(), other->worker().flows()});
  return loops;
}

void HostCore::serve_control() {
  commands_.emplace(
      SandboxCommands::Parts{sandbox_, publisher_, policy_reload_, loops(), [this] { return counters(); }});
  control_.emplace(std::move(*control_socket_), commands_->commands(), worker_.tasks());
  control_->begin();
}

void HostCore::reload() {
  if (worker_.has_begun()) worker_.tasks().spawn(reload_and_tell());
}

Task<> HostCore::reload_and_tell() {
  const auto cut = co_await policy_reload_.run(loops());
  if (!cut) sandbox_.ledger.warning(cut.error().message());
}

void HostCore::refuse_child(const Error& error) {
  Message answer{MessageType::failed, static_cast<int>(error.exit)};
  answer.body = error.message();
  send(std::move(answer));
  listener_.failed(error);
}

}  // namespace nsrun
