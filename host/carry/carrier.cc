#include "host/carry/carrier.h"

#include "host/carry/inspect.h"
#include "host/carry/rejudge.h"
#include "host/flow/relay.h"

namespace nsrun {
namespace {

// Bytes of a flow whose target is a name, until it is dialled: its queries, and its attempts to connect.
constexpr std::size_t lookup_cost = 20 << 10;
constexpr std::size_t task_cost = 8 << 10;  // bytes: a flow's task, and what it dials and relays with

constexpr auto out_of_memory = "the sandbox has reached its --network-memory limit";

void refuse(Request& request, FlowRecord& record, Refusal how, FlowEnd end, std::string why) {
  record.rejected = how != Refusal::drop;
  record.why = std::move(why);
  record.ended(end);
  request.refuse(how);
}

Refusal refusal_of_cut(Protocol protocol) {
  return protocol == Protocol::tcp ? Refusal::reset : Refusal::prohibited;
}

void refuse_failed(Request& request, FlowRecord& record, const Error& error) {
  record.allowed = error.code != denied_by_policy;
  const auto end = record.allowed ? FlowEnd::failed : FlowEnd::refused;
  refuse(request, record, refusal_for(error), end, error.message());
}

void refuse_after_all(Request& request, FlowRecord& record, std::string why) {
  record.allowed = false;
  refuse(request, record, refusal_of_cut(request.key().protocol), FlowEnd::policy, std::move(why));
}

// Has the flow in its hands as long as a task has: while it is judged, dialled, or relayed by coroutines.
class TaskCutter final : public FlowCarrier {
 public:
  TaskCutter(asio::cancellation_signal& cancel, std::unique_ptr<Request>& request)
      : cancel_(cancel), request_(request) {}
  // Whoever still waits for an answer gets one.
  void cut() override {
    if (request_) request_->refuse(refusal_of_cut(request_->key().protocol));
    cancel_.emit(asio::cancellation_type::terminal);
  }

 private:
  asio::cancellation_signal& cancel_;
  std::unique_ptr<Request>& request_;
};

}  // namespace

Task<> Carrier::carry(std::unique_ptr<Request> request, asio::cancellation_signal& cancel) {
  auto record = ledger_.open(request->key(), asker_, flows_);
  record->asker_name = request->asker();
  TaskCutter cutter(cancel, request);
  record->carried_by(&cutter);
  MemoryCharge memory(memory_);
  if (!memory.add(task_cost, MemoryUse::new_flow))
    co_return refuse(*request, *record, Refusal::drop, FlowEnd::refused, out_of_memory);
  const auto generation = policy_.generation();
  Verdict verdict = policy_.judge(request->key());
  if (verdict.asks) verdict = co_await policy_.ask(request->key(), std::move(verdict));
  if (record->end != FlowEnd::open) co_return;  // it was cut, and its asker answered
  record->rule = verdict.rule;
  record->name = verdict.name;
  if (verdict.logs) ledger_.tell(*record, verdict);
  if (!verdict.allowed) co_return refuse(*request, *record, verdict.refusal, FlowEnd::refused, {});
  verdict.target.mapped = request->wants_mapped();
  verdict.target.asker = request->socket();
  record->allowed = true;
  if (record->name.empty()) record->name = ledger_.name_of(request->key().target.address);
  record->dials(verdict.target);
  verdict.target.resolved = [&](const Target& target) { record->dials(target); };

  MemoryCharge lookup(memory_);
  if (!verdict.target.name.empty() && !lookup.add(lookup_cost, MemoryUse::new_flow))
    co_return refuse(*request, *record, Refusal::drop, FlowEnd::refused, out_of_memory);
  auto far = co_await dialer_.dial(verdict.target);
  lookup.release();
  if (record->end != FlowEnd::open) co_return;
  if (!far) {
    ledger_.dial_failed(far.error());
    co_return refuse_failed(*request, *record, far.error());
  }
  // Another policy than the one that let it pass: not a byte goes before this one has.
  if (policy_.generation() != generation)
    if (auto why = refused_now(policy_, *record))
      co_return refuse_after_all(*request, *record, std::move(*why));

  const bool inspected = verdict.inspection != Inspection::none;
  if (auto preparing = request->prepare(**far, inspected)) co_await std::move(*preparing);
  if (record->end != FlowEnd::open) co_return;
  auto near = request->accept();
  if (!near) co_return record->ended(FlowEnd::reset_by_source);  // the asker left while we dialled

  request.reset();  // what it holds of its asker's is not needed any more
  if (inspected) near = co_await inspect(std::move(near), **far, verdict, *record, memory_);
  if (!near) co_return;  // what was said does not agree
  co_await relay(std::move(near), std::move(*far), std::move(record), datagrams_idle, memory_);
}

}  // namespace nsrun
