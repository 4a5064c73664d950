#include "host/host_core.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/this_coro.hpp>

#include "host/publish/listener.h"
#include "netstack/channel_device.h"
#include "netstack/tun_device.h"
#include "runtime/id_map.h"

namespace nsrun {
namespace {

// For what the guest sent last, once its command has ended; then connections that still hold some are reset.
constexpr auto patience_without_progress = 2s;
constexpr auto patience = 30s;

}  // namespace

HostCore::HostCore(asio::io_context& context, HostOptions options)
    : context_(context),
      options_(std::move(options)),
      events_(options_.events ? *options_.events : no_events_),
      listener_(options_.listener ? *options_.listener : no_listener_),
      ledger_(events_),
      tasks_(context.get_executor(),
             [this](const std::string& what) { events_.warning("a flow failed: " + what); }),
      child_gone_(context.get_executor()),
      reachability_({options_.network, options_.host_loopback},
                    options_.dialer_resolves_names ? &synthetic_ : nullptr),
      published_("published"),
      world_(make_dialer()),
      upstream_(context.get_executor()),
      resolvers_(options_.resolv_conf),
      name_server_(
          context.get_executor(),
          {.resolvers = resolvers_,
           .dialer = upstream_,
           .gateway4 = options_.network.gateway4,
           .gateway6 = options_.network.ipv6 ? std::optional(options_.network.gateway6) : std::nullopt,
           .synthetic = options_.dialer_resolves_names ? &synthetic_ : nullptr,
           .recent = &ledger_.names}),
      name_service_(tasks_,
                    [this](std::unique_ptr<Connection> guest, Target) -> Result<Task<>> {
                      return name_server_.serve(std::move(guest));
                    }),
      dialer_(options_.network, name_service_, *world_),
      guest_flows_(reachability_, dialer_, ledger_),
      sockets_(context.get_executor(), [this](Message message) { send(std::move(message)); }) {
  for (const auto& port : options_.publish) listeners_.push_back(bind_published(port).value());
  if (!options_.capture.empty()) capture_ = CaptureFile::create(options_.capture).value();
}

std::unique_ptr<Dialer> HostCore::make_dialer() {
  AddressCheck check = [this](const IpAddress& address) { return reachability_.allows(address); };
  if (options_.dialer) return options_.dialer(context_.get_executor(), std::move(check));
  return std::make_unique<DirectDialer>(context_.get_executor(), std::move(check));
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

void HostCore::close() { cancel_.emit(asio::cancellation_type::terminal); }

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
  }
  listener_.ended();
  co_await tasks_.cancel_and_join();
  stack_.reset();
  capturing_.reset();
  device_.reset();
  channel_wait_.reset();
  channel_.reset();
  listeners_.clear();
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
  if (stack_) co_await child_gone_.wait();
}

// No process is left inside, but their kernel still holds what they sent last and closed: as it would go on
// delivering that outside a sandbox, it does here, as long as it gets anywhere.
Task<> HostCore::pass_on_the_rest() {
  const auto moved = [this] {
    const auto& totals = ledger_.totals();
    return totals.tcp.bytes_up + totals.tcp.bytes_down + totals.udp.bytes_up + totals.udp.bytes_down;
  };
  const auto began = Clock::now();
  auto last_step = began;
  auto so_far = moved();
  while (stack_ && (stack_->unfinished() > 0 || ledger_.totals().relays_from_guest > 0)) {
    co_await sleep_for(1ms);
    const auto now = Clock::now();
    if (const auto by_now = moved(); by_now != so_far) {
      so_far = by_now;
      last_step = now;
    }
    if (now - last_step > patience_without_progress || now - began > patience) co_return;
  }
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
    case MessageType::started:
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
      events_.warning(message.body);
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
  if (std::exchange(ids_mapped_, true) || stack_) return;
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
  if (stack_) return;
  auto device = message.fds.empty() ? Result<std::unique_ptr<TunDevice>>(Error{"the sandbox sent no device"})
                                    : TunDevice::open(std::move(message.fds.front()));
  if (!device) return refuse_child(device.error());
  begin(std::move(*device), message.sender);
}

// From here on the channel carries packets; `go` is the last word on it.
void HostCore::begin_with_pump(const Message& message) {
  if (stack_) return;
  send({MessageType::go});
  begin(std::make_unique<ChannelDevice>(UniqueFd(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, 3))),
        message.sender);
}

void HostCore::begin(std::unique_ptr<Device> device, pid_t child) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!pidfd) return refuse_child(errno_error("cannot watch the sandbox's first process"));
  const bool pumped = dynamic_cast<ChannelDevice*>(device.get()) != nullptr;
  device_ = std::move(device);
  if (capture_) capturing_ = std::make_unique<CapturingDevice>(*device_, *capture_);
  StackOptions options;
  options.network = options_.network;
  stack_ = std::make_unique<Stack>(
      context_, capturing_ ? *capturing_ : *device_, options,
      [this](std::unique_ptr<Request> request) { tasks_.spawn(guest_flows_.carry(std::move(request))); },
      events_);
  tasks_.spawn(stack_->run());
  tasks_.spawn(watch_child(std::move(pidfd)));
  if (!pumped) send({MessageType::go});
  publish();
  listener_.ready();
}

Task<> HostCore::watch_child(UniqueFd pidfd) {
  Descriptor child(context_, pidfd.release());
  if (co_await readable(child)) child_gone_.raise();
}

void HostCore::publish() {
  guest_dialer_.emplace(context_.get_executor(), *stack_, sockets_, options_.network);
  published_flows_.emplace(published_, *guest_dialer_, ledger_, Asker::client);
  const RequestSink sink = [this](std::unique_ptr<Request> request) {
    tasks_.spawn(published_flows_->carry(std::move(request)));
  };
  const GuestAddresses guest{options_.network.guest4,
                             options_.network.ipv6 ? options_.network.guest6 : options_.network.guest4};
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    const auto& port = options_.publish[i];
    const auto listen = port.protocol == Protocol::tcp ? accept_published : receive_published;
    tasks_.spawn(listen(context_.get_executor(), listeners_[i].get(), port, guest, sink));
  }
}

void HostCore::refuse_child(const Error& error) {
  Message answer{MessageType::failed, static_cast<int>(error.exit)};
  answer.body = error.message();
  send(std::move(answer));
  listener_.failed(error);
}

}  // namespace nsrun
