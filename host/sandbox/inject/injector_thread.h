#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <future>
#include <thread>

#include "host/carry/carrier.h"
#include "host/sandbox/inject/injector.h"

namespace nsrun {

// An injector with a loop and a thread of its own, and with a dialer and a carrier of that loop's, since what
// it does to the guest's files may take as long as the guest likes.
class InjectorThread {
 public:
  struct Parts {
    Policy& policy;
    Ledger& ledger;
    LiveFlows& flows;  // the thread's alone
    std::function<std::unique_ptr<Dialer>(Executor executor, Scope& flows)> dialer;
  };
  // `home`: whose thread makes, ends and destroys it; that of `moved`. `accelerate` is the child's message.
  static Result<std::unique_ptr<InjectorThread>> start(asio::io_context& home, Message accelerate,
                                                       const NetworkOptions& network, pid_t agent,
                                                       MovedFlows& moved, Parts parts);
  ~InjectorThread();

  // Its tasks end, and the thread. False: it is away in a call that the guest keeps it in, and written off;
  // then it must never be destroyed. It touches nothing any more that is not its own.
  Task<bool> end();

 private:
  InjectorThread(asio::io_context& home, Parts parts);
  Result<void> begin(Message accelerate, Injector::Options options);
  void run();

  asio::io_context& home_;
  Timer ended_;  // at home
  bool over_ = false;
  Presence presence_;
  asio::io_context context_{1};
  asio::executor_work_guard<Executor> keeps_running_{context_.get_executor()};
  Scope tasks_;
  std::unique_ptr<Dialer> dialer_;
  Carrier flows_;
  std::unique_ptr<Injector> injector_;
  std::promise<void> finished_;
  std::thread thread_;
};

}  // namespace nsrun
