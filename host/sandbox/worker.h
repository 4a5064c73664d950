#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <memory>
#include <thread>

#include "host/carry/carrier.h"
#include "host/dialers/function_dialer.h"
#include "host/dialers/name_server_dialer.h"
#include "host/names/name_server.h"
#include "host/names/name_service_dialer.h"
#include "host/outside/world_dialer.h"
#include "host/sandbox/inject/injector_thread.h"
#include "host/sandbox/sandbox.h"
#include "netstack/stack.h"

namespace nsrun {

// One queue of the guest's device, carried by one loop:
//
//   guest ─► Stack ─► Carrier ─► NameServiceDialer ─► WorldDialer ─► world
//                                       └──► NameServer
//
// Everything in here belongs to the loop's thread, but for the totals. What workers share is in the Sandbox,
// which outlives them.
class Worker {
 public:
  Worker(asio::io_context& context, Sandbox& sandbox);

  // Packets flow. `workers`: how many the sandbox has.
  void begin(std::unique_ptr<Device> queue, std::size_t workers);
  // From here on the connects of the command are answered (MessageType::accelerate), on a thread of their
  // own.
  Result<void> accelerate(Message message, pid_t agent);
  // Every flow ends, and then the stack.
  Task<> end();

  void carry(std::unique_ptr<Request> request) { carrier_.begin(std::move(request), tasks_); }
  bool has_begun() const { return stack_ != nullptr; }
  Stack& stack() { return *stack_; }
  Scope& tasks() { return tasks_; }
  Dialer& world() { return world_; }
  MemoryShare& memory() { return memory_; }
  asio::io_context& context() { return context_; }
  // Takes what waits at the device; how many flows hold something of the guest's that was not passed on yet.
  std::size_t unfinished() { return stack_ ? stack_->unfinished() : 0; }
  LiveFlows& flows() { return flows_; }  // not those that the injector has in its hands
  Counters counted() const;              // all there is to count here; for any thread

 private:
  void refused(const FlowKey& key, const std::string& name);
  void heard(const UdpMappings::Unasked& unasked);

  asio::io_context& context_;
  Sandbox& sandbox_;
  MemoryShare memory_;
  LiveFlows flows_, injected_;  // injected_: the injector's thread's
  LiveFlows refused_queries_;   // records without a flow of their own
  Scope tasks_;
  UdpMappings mappings_;
  WorldDialer world_;
  NameServerDialer upstream_;  // to the host's resolvers: no policy between
  Resolvers resolvers_;
  NameServer name_server_;
  FunctionDialer name_service_;
  NameServiceDialer dialer_;
  Carrier carrier_;
  std::unique_ptr<Device> device_, capturing_, faulty_;
  std::unique_ptr<Stack> stack_;
  std::optional<MovedFlows> moved_;
  std::unique_ptr<InjectorThread> injector_;
};

// A worker with a loop and a thread of its own.
class WorkerThread {
 public:
  // `home`: whose thread makes, ends and destroys it. Throws ErrorException where there is no thread.
  WorkerThread(asio::io_context& home, Sandbox& sandbox, std::unique_ptr<Device> queue, std::size_t workers);
  ~WorkerThread();  // its loop stops, wherever it was

  Worker& worker() { return worker_; }
  Task<> end();        // every flow has ended
  Task<> loop_over();  // after end(): the loop has, too

 private:
  void run();

  asio::io_context& home_;
  Timer ended_;  // never expires; cancelled at home when the loop is over
  bool over_ = false;
  asio::io_context context_{1};
  asio::executor_work_guard<Executor> keeps_running_{context_.get_executor()};
  Worker worker_;
  std::thread thread_;
};

}  // namespace nsrun
