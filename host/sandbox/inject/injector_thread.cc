// The injector's thread, and how it comes to an end although the guest may be keeping it.
//
// Its calls on the guest's files can wait; none of them can be taken back. Three things end them: a signal
// (connect, close with SO_LINGER, most of FUSE), the guest's own end (its FUSE servers, its memory, its
// threads), or the guest's wish. So end() sends the thread a signal that does nothing every `kick_after`,
// until its loop is over. A thread that is still away after `max_end` is written off: that takes a file
// system outside the sandbox that hangs, or an embedder with a handler of his own for the signal. The process
// keeps the thread and what it holds (some descriptors, a loop, its memory), and Presence keeps the thread
// from touching anything else, whenever it comes back. A process that exits takes it along.

#include "host/sandbox/inject/injector_thread.h"

#include <signal.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <system_error>

namespace nsrun {
namespace {

constexpr auto kick_after = 10ms;
constexpr auto max_end = 500ms;
constexpr int kick = SIGURG;  // nobody's by default: it is ignored

// A signal that is ignored interrupts nothing. Whoever has a handler keeps it.
void make_kicks_felt() {
  struct sigaction now {};
  if (::sigaction(kick, nullptr, &now) < 0 || now.sa_handler != SIG_DFL) return;
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(kick, &nothing, nullptr);  // without SA_RESTART
}

}  // namespace

InjectorThread::InjectorThread(asio::io_context& home, Parts parts)
    : home_(home),
      ended_(home),
      tasks_(
          context_.get_executor(),
          [&ledger = parts.ledger](const std::string& what) { ledger.warning("a connect failed: " + what); }),
      dialer_(parts.dialer(context_.get_executor(), tasks_)),
      flows_(parts.policy, *dialer_, parts.ledger, parts.flows, Asker::guest) {}

Result<std::unique_ptr<InjectorThread>> InjectorThread::start(asio::io_context& home, Message accelerate,
                                                              const NetworkOptions& network, pid_t agent,
                                                              MovedFlows& moved, Parts parts) {
  std::unique_ptr<InjectorThread> thread(new InjectorThread(home, std::move(parts)));
  Injector::Options options{network, agent, moved, thread->presence_};
  if (auto begun = thread->begin(std::move(accelerate), std::move(options)); !begun) return begun.error();
  return thread;
}

Result<void> InjectorThread::begin(Message accelerate, Injector::Options options) {
  MovedFlows& moved = options.moved;
  auto injector =
      Injector::start(std::move(accelerate), std::move(options), tasks_,
                      [this](std::unique_ptr<Request> request) { flows_.begin(std::move(request), tasks_); });
  if (!injector) return injector.error();
  injector_ = std::move(*injector);
  moved.on_arrival([this](const FlowKey& key, MovedRequest syn) {
    asio::post(context_,
               [this, key, syn = std::move(syn)]() mutable { injector_->arrived(key, std::move(syn)); });
  });
  make_kicks_felt();
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return Error{"cannot start a thread for --accelerate", error.code(),
                 "raise the limit of processes (ulimit -u)"};
  }
  return {};
}

InjectorThread::~InjectorThread() {
  context_.stop();
  if (!thread_.joinable()) return;
  // Its host's loop did not run to its end. The guest ends now, if it has not.
  const auto finished = finished_.get_future();
  while (finished.wait_for(kick_after) != std::future_status::ready)
    ::pthread_kill(thread_.native_handle(), kick);
  thread_.join();
}

void InjectorThread::run() {
  sigset_t kicks;
  ::sigemptyset(&kicks);
  ::sigaddset(&kicks, kick);
  ::pthread_sigmask(SIG_UNBLOCK, &kicks, nullptr);
  presence_.arrive();
  context_.run();
  asio::post(home_, [this] {
    over_ = true;
    ended_.cancel();
  });
  presence_.depart();
  finished_.set_value();
}

Task<bool> InjectorThread::end() {
  asio::co_spawn(context_, tasks_.cancel_and_join(), [this](std::exception_ptr) { keeps_running_.reset(); });
  const auto deadline = Clock::now() + max_end;
  while (!over_) {
    ended_.expires_after(kick_after);
    co_await ended_.async_wait(use_result);
    if (over_) break;
    ::pthread_kill(thread_.native_handle(), kick);
    if (Clock::now() < deadline || !presence_.write_off()) continue;
    co_await asio::post(home_, use_task);  // what it said before comes first
    co_return false;
  }
  thread_.join();
  co_return true;
}

}  // namespace nsrun
