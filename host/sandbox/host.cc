#include "host/sandbox/host.h"

#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "host/sandbox/host_core.h"

namespace nsrun {

Host::Host(HostOptions options)
    : own_context_(std::make_unique<asio::io_context>(1)),
      core_(std::make_shared<HostCore>(*own_context_, std::move(options))) {}

Host::Host(asio::io_context& context, HostOptions options)
    : core_(std::make_shared<HostCore>(context, std::move(options))) {}

Result<void> Host::attach_to_cmd(Command& command) {
  if (auto attached = core_->attach(command); !attached) return attached;
  HostCore::start(core_);
  // The thread ends when the core's task does: nothing else runs there.
  if (own_context_)
    thread_ = std::thread([context = own_context_.get()] {
      sigset_t pipe;
      ::sigemptyset(&pipe);
      ::sigaddset(&pipe, SIGPIPE);  // splice(2) has no MSG_NOSIGNAL
      ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      context->run();
    });
  return {};
}

Host::~Host() {
  close();
  if (thread_.joinable()) thread_.join();
}

void Host::close() { HostCore::close(core_); }

bool Host::is_elsewhere() const {
  return thread_.joinable() && thread_.get_id() != std::this_thread::get_id();
}

void Host::resume() {
  if (!is_elsewhere()) return core_->resume();
  asio::post(*own_context_, [core = core_.get()] { core->resume(); });
}

void Host::send_signal(int signal) {
  if (!is_elsewhere()) return core_->send({MessageType::signal, signal});
  asio::post(*own_context_, [core = core_.get(), signal] { core->send({MessageType::signal, signal}); });
}

void Host::reload_policy() {
  if (!is_elsewhere()) return core_->reload();
  asio::post(*own_context_, [core = core_.get()] { core->reload(); });
}

void Host::hurry() {
  if (!is_elsewhere()) return core_->hurry();
  asio::post(*own_context_, [core = core_.get()] { core->hurry(); });
}

void Host::replace_rules(std::shared_ptr<const RuleSet> rules) { core_->replace_rules(std::move(rules)); }

Counters Host::counters() const {
  if (!is_elsewhere()) return core_->counters();
  // The totals belong to the loop's thread; once it has ended, to anybody.
  std::promise<Counters> answer;
  auto future = answer.get_future();
  asio::post(*own_context_, [&] { answer.set_value(core_->counters()); });
  while (future.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready)
    if (own_context_->stopped()) return core_->counters();
  return future.get();
}

}  // namespace nsrun
