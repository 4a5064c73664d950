// A reload is read, put in force, and brought to the flows that live, in this order. Reading takes as long as
// it takes (100,000 rules, a slow disk), so it is done on a thread of its own; traffic goes on meanwhile,
// under the old rules. RulePolicy::replace puts the new ones in force at once and for all workers.
//
// No flow slips through. Each is in its loop's list before it is judged (Carrier::carry), so one that was
// judged by the old rules is there when the list is walked, being dialled or relayed: it is judged anew and
// cut. One whose dial ends between the two sees the policy's generation and is judged anew by its own task.

#include "host/sandbox/policy_reload.h"

#include <boost/asio/post.hpp>

#include "host/carry/rejudge.h"
#include "runtime/descriptor_reserve.h"

namespace nsrun {
namespace {

constexpr std::size_t flows_before_yield = 256;  // some hundred microseconds of judging

Task<> cut_refused(Policy& policy, LiveFlows& flows, std::size_t& cut) {
  LiveFlows::Walk walk(flows);
  for (std::size_t looked_at = 1;; ++looked_at) {
    if (looked_at % flows_before_yield == 0)
      co_await asio::post(co_await asio::this_coro::executor, use_task);
    FlowRecord* flow = walk.next();
    if (!flow) co_return;
    if (flow->asker != Asker::guest || flow->end != FlowEnd::open) continue;
    auto why = refused_now(policy, *flow);
    if (!why) continue;
    flow->cut(std::move(*why));
    ++cut;
  }
}

Result<std::shared_ptr<const RuleSet>> call(const RuleLoader& load) {
  const UseDescriptorReserve reserve;  // an operator's: flows may have taken all others
  try {
    return load();
  } catch (const ErrorException& error) {
    return error.error();
  } catch (const std::exception& error) {
    return Error{std::string("the policy cannot be read: ") + error.what()};
  }
}

// While it lives, no other change of the policy begins.
struct Running {
  explicit Running(bool& is_running) : is_running_(is_running) { is_running_ = true; }
  ~Running() { is_running_ = false; }
  bool& is_running_;
};

Error busy() { return {"the policy is being changed already", {}, "ask again"}; }

std::shared_ptr<const RuleSet> in_front(std::vector<Rule> added, std::shared_ptr<const RuleSet> base) {
  if (added.empty()) return base;
  added.insert(added.end(), base->rules().begin(), base->rules().end());
  return std::make_shared<const RuleSet>(std::move(added), base->default_action());
}

}  // namespace

Task<Result<std::size_t>> PolicyReload::run(std::vector<FlowLoop> loops) {
  if (!sandbox_.options.reload)
    co_return Error{"there is no policy to read again", {}, "start nsrun with --policy FILE"};
  if (is_running_) co_return busy();
  const Running running(is_running_);
  auto read = co_await on_reader(sandbox_.options.reload);
  if (!read) {
    auto error = read.error();
    error.doing = "the policy stays as it was: " + error.doing;
    co_return error;
  }
  const Rules base = *read ? std::move(*read) : std::make_shared<const RuleSet>();
  const auto done = co_await on_reader([&] {
    replace(base);
    return Result<Rules>(base);
  });
  if (!done) co_return done.error();
  std::size_t cut = 0;
  for (const auto& loop : loops) co_await run_on(loop.context, cut_refused(sandbox_.policy, loop.flows, cut));
  co_return cut;
}

Task<Result<void>> PolicyReload::change_added(std::function<bool(std::vector<Rule>&)> change) {
  if (is_running_) co_return busy();
  const Running running(is_running_);
  const auto done = co_await on_reader([&] {
    const std::lock_guard lock(mutex_);
    auto added = added_;
    if (change(added)) put_in_force(base_, std::move(added));
    return Result<Rules>(base_);
  });
  if (!done) co_return done.error();
  co_return Result<void>{};
}

void PolicyReload::replace(Rules base) {
  const std::lock_guard lock(mutex_);
  put_in_force(std::move(base), added_);
}

void PolicyReload::put_in_force(Rules base, std::vector<Rule> added) {
  sandbox_.policy.replace(in_front(added, base));
  base_ = std::move(base);
  added_ = std::move(added);
}

// To the end, also when the caller is cancelled: the reader's thread refers to this frame.
Task<Result<PolicyReload::Rules>> PolicyReload::on_reader(RuleLoader load) {
  if (!reader_) reader_.emplace(1);
  const auto home = co_await asio::this_coro::executor;
  std::optional<Result<Rules>> rules;
  Timer done(home, Clock::time_point::max());
  asio::post(*reader_, [&, home] {
    auto read = call(load);
    asio::post(home, [&, read = std::move(read)]() mutable {
      rules.emplace(std::move(read));
      done.cancel();
    });
  });
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!rules) co_await done.async_wait(use_result);
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return std::move(*rules);
}

}  // namespace nsrun
