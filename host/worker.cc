#include "host/worker.h"

#include <boost/asio/post.hpp>
#include <future>
#include <system_error>

#include "netstack/devices/fault_device.h"

namespace nsrun {

Worker::Worker(asio::io_context& context, Sandbox& sandbox)
    : context_(context),
      sandbox_(sandbox),
      tasks_(context.get_executor(),
             [this](const std::string& what) { sandbox_.ledger.warning("a flow failed: " + what); }),
      usual_(make_dialer()),
      world_(context.get_executor(), *usual_),
      faults_(tasks_, world_, flows_.totals),
      upstream_(context.get_executor()),
      resolvers_(sandbox.options.resolv_conf),
      name_server_(context.get_executor(),
                   {.resolvers = resolvers_,
                    .dialer = upstream_,
                    .gateway4 = sandbox.options.network.gateway4,
                    .gateway6 = sandbox.options.network.ipv6 ? std::optional(sandbox.options.network.gateway6)
                                                             : std::nullopt,
                    .policy = &sandbox.judge_of_names(),
                    .synthetic = &sandbox.synthetic,
                    .recent = &sandbox.ledger.names}),
      name_service_(tasks_,
                    [this](std::unique_ptr<Connection> guest, Target) -> Result<Task<>> {
                      return name_server_.serve(std::move(guest));
                    }),
      dialer_(sandbox.options.network, name_service_, faults_),
      carrier_(sandbox.judge(), dialer_, sandbox.ledger, flows_, Asker::guest) {}

std::unique_ptr<Dialer> Worker::make_dialer() {
  const auto& make = sandbox_.options.dialer;
  if (make) return make(context_.get_executor());
  return std::make_unique<DirectDialer>(context_.get_executor());
}

void Worker::begin(std::unique_ptr<Device> queue, std::size_t workers) {
  device_ = std::move(queue);
  if (sandbox_.may_capture()) capturing_ = std::make_unique<CapturingDevice>(*device_, sandbox_.capture);
  Device* outermost = capturing_ ? capturing_.get() : device_.get();
  if (auto faults = sandbox_.policy.rules()->packet_faults()) {
    faulty_ = std::make_unique<FaultDevice>(*outermost, std::move(faults));
    outermost = faulty_.get();
  }
  StackOptions options;
  options.network = sandbox_.options.network;
  options.latency = sandbox_.options.latency;
  if (workers > 1) options.group = &sandbox_.stacks;
  stack_ = std::make_unique<Stack>(
      context_, *outermost, options.share_of(workers),
      [this](std::unique_ptr<Request> request) {
        if (!injector_ || !injector_->claim(request)) carry(std::move(request));
      },
      sandbox_.ledger);
  tasks_.spawn(stack_->run());
}

Result<void> Worker::accelerate(Message message, pid_t agent) {
  if (injector_) return {};
  auto injector = Injector::start(std::move(message), {sandbox_.options.network, agent, *stack_}, tasks_,
                                  [this](std::unique_ptr<Request> request) { carry(std::move(request)); });
  if (!injector) return injector.error();
  injector_ = std::move(*injector);
  return {};
}

Task<> Worker::end() {
  co_await tasks_.cancel_and_join();
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

// A name that is being looked up cannot be interrupted (getaddrinfo), and keeps the loop running.
Task<> WorkerThread::loop_over() {
  while (!over_) co_await ended_.async_wait(use_result);
}

}  // namespace nsrun
