#include "host/sandbox/worker.h"

#include <boost/asio/post.hpp>
#include <future>
#include <system_error>

#include "host/carry/peer_request.h"
#include "netstack/devices/fault_device.h"

namespace nsrun {
namespace {

constexpr std::size_t memory_of_injector = 24 << 20;        // bytes: 4,096 connects under way
constexpr std::size_t window_of_lossy_devices = 256 << 10;  // bytes: StackOptions::window

std::function<void(const std::string&)> questions_to(Learner* learner) {
  if (!learner) return {};
  return [learner](const std::string& name) { learner->saw_question(name); };
}

}  // namespace

Worker::Worker(asio::io_context& context, Sandbox& sandbox)
    : context_(context),
      sandbox_(sandbox),
      memory_(sandbox.memory),
      tasks_(context.get_executor(),
             [this](const std::string& what) { sandbox_.ledger.warning("a flow failed: " + what); }),
      mappings_(
          context.get_executor(), tasks_, flows_,
          [this](const UdpMappings::Unasked& unasked) { heard(unasked); }, &memory_),
      world_(context.get_executor(), sandbox.options.dialer, tasks_, flows_.totals, &mappings_),
      upstream_(context.get_executor()),
      resolvers_(sandbox.options.resolv_conf),
      name_server_(context.get_executor(),
                   {.resolvers = resolvers_,
                    .dialer = upstream_,
                    .gateway4 = sandbox.options.network.gateway4,
                    .gateway6 = sandbox.options.network.ipv6 ? std::optional(sandbox.options.network.gateway6)
                                                             : std::nullopt,
                    .policy = &sandbox.policy,
                    .synthetic = &sandbox.synthetic,
                    .asks_world = !sandbox.options.resolv_conf.empty(),
                    .asked = questions_to(sandbox.options.learner),
                    .refused = [this](const FlowKey& key, const std::string& name) { refused(key, name); },
                    .recent = &sandbox.ledger.names,
                    .memory = &memory_}),
      name_service_(
          tasks_,
          [this](std::unique_ptr<Connection> guest, Target target) -> Result<Task<>> {
            return name_server_.serve(std::move(guest), {target.protocol, target.source, target.endpoint});
          },
          NameServer::pipe_capacity),
      dialer_(sandbox.options.network, name_service_, world_),
      carrier_(sandbox.judge(), dialer_, sandbox.ledger, flows_, Asker::guest, &memory_) {}

void Worker::begin(std::unique_ptr<Device> queue, std::size_t workers) {
  device_ = std::move(queue);
  if (sandbox_.may_capture()) capturing_ = std::make_unique<CapturingDevice>(*device_, sandbox_.capture);
  Device* outermost = capturing_ ? capturing_.get() : device_.get();
  if (auto faults = sandbox_.policy.rules()->packet_faults()) {
    faulty_ = std::make_unique<FaultDevice>(*outermost, std::move(faults));
    outermost = faulty_.get();
  }
  StackOptions options;
  if (faulty_) options.window = window_of_lossy_devices;
  options.network = sandbox_.options.network;
  options.latency = sandbox_.options.latency;
  options.memory = &memory_;
  if (workers > 1) options.group = &sandbox_.stacks;
  stack_ = std::make_unique<Stack>(
      context_, *outermost, options.share_of(workers),
      [this](std::unique_ptr<Request> request) {
        if (!moved_ || !moved_->claim(request)) carry(std::move(request));
      },
      sandbox_.ledger);
  tasks_.spawn(stack_->run());
}

// A name that was asked for in vain is written down as the flow that it would have led to.
void Worker::refused(const FlowKey& key, const std::string& name) {
  const auto record = sandbox_.ledger.open(key, Asker::guest, refused_queries_);
  record->name = name;
  record->rule = sandbox_.policy.rule_about(name);
  record->rejected = true;
  record->why = "the name may not be asked about";
  record->ended(FlowEnd::refused);
}

void Worker::heard(const UdpMappings::Unasked& unasked) {
  if (!unasked.flow) {
    // Until it is judged it holds the datagram.
    if (!memory_.has_room(unasked.datagram.size(), MemoryUse::new_flow)) return;
    return carry(std::make_unique<PeerRequest>(*stack_, unasked));
  }
  // It came before its flow's socket was there.
  if (stack_->deliver(unasked.key, unasked.datagram)) unasked.flow->moved_down(unasked.datagram.size());
}

Result<void> Worker::accelerate(Message message, pid_t agent) {
  if (injector_) return {};
  moved_.emplace(context_, *stack_, tasks_, flows_, sandbox_.judge());
  auto injector = InjectorThread::start(
      context_, std::move(message), sandbox_.options.network, agent, *moved_,
      {sandbox_.judge(), sandbox_.ledger, injected_, [this](Executor executor, Scope& flows) {
         return std::make_unique<WorldDialer>(executor, sandbox_.options.dialer, flows, injected_.totals);
       }});
  if (!injector) return moved_.reset(), injector.error();
  injector_ = std::move(*injector);
  // A thread that is written off may outlive the sandbox, so its connects are not charged one by one.
  sandbox_.memory.take_always(memory_of_injector);
  return {};
}

Counters Worker::counted() const {
  Counters sum = flows_.totals;
  sum += injected_.totals;
  return sum;
}

Task<> Worker::end() {
  if (injector_) {
    const bool over = co_await injector_->end();
    if (!over) (void)injector_.release();  // it sleeps in what it has, which nobody else may have any more
  }
  co_await tasks_.cancel_and_join();
  injector_.reset();
  moved_.reset();
  stack_.reset();
  faulty_.reset();
  capturing_.reset();
  device_.reset();
}

WorkerThread::WorkerThread(asio::io_context& home, Sandbox& sandbox, std::unique_ptr<Device> queue,
                           std::size_t workers)
    : home_(home), ended_(home, Clock::time_point::max()), worker_(context_, sandbox) {
  // The thread first: where none is to be had, nothing has begun.
  std::promise<void> begun;
  try {
    thread_ = std::thread([this, ready = begun.get_future()] {
      ready.wait();
      run();
    });
  } catch (const std::system_error& error) {
    throw ErrorException({"cannot start a thread", error.code(),
                          "raise the limit of processes (ulimit -u), or ask for fewer --workers"});
  }
  try {
    worker_.begin(std::move(queue), workers);
  } catch (...) {
    context_.stop();
    begun.set_value();
    thread_.join();
    throw;
  }
  begun.set_value();
}

WorkerThread::~WorkerThread() {
  context_.stop();
  thread_.join();
}

void WorkerThread::run() {
  context_.run();
  asio::post(home_, [this] {
    over_ = true;
    ended_.cancel();
  });
}

Task<> WorkerThread::end() {
  co_await run_on(context_, worker_.end());
  keeps_running_.reset();
}

Task<> WorkerThread::loop_over() {
  while (!over_) co_await ended_.async_wait(use_result);
}

}  // namespace nsrun
