#include "host/carrier.h"

#include "host/policy/rejudge.h"
#include "host/relay.h"

namespace nsrun {
namespace {

void refuse(Request& request, FlowRecord& record, Refusal how, FlowEnd end, std::string why) {
  record.rejected = how != Refusal::drop;
  record.why = std::move(why);
  record.ended(end);
  request.refuse(how);
}

Refusal refusal_of_cut(Protocol protocol) {
  return protocol == Protocol::tcp ? Refusal::reset : Refusal::prohibited;
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
  TaskCutter cutter(cancel, request);
  record->carried_by(&cutter);
  const auto generation = policy_.generation();
  Verdict verdict = policy_.judge(request->key());
  if (verdict.asks) verdict = co_await policy_.ask(request->key(), std::move(verdict));
  if (record->end != FlowEnd::open) co_return;  // it was cut, and its asker answered
  record->rule = verdict.rule;
  record->name = verdict.name;
  if (verdict.logs) ledger_.tell(*record, verdict);
  if (!verdict.allowed) co_return refuse(*request, *record, verdict.refusal, FlowEnd::refused, {});
  verdict.target.mapped = request->wants_mapped();
  record->allowed = true;
  if (record->name.empty()) record->name = ledger_.name_of(request->key().target.address);
  record->dialled = verdict.target.to_string();
  verdict.target.resolved = [&](const Target& target) { record->dialled = target.to_string(); };

  auto far = co_await dialer_.dial(verdict.target);
  if (record->end != FlowEnd::open) co_return;
  if (!far) {
    ledger_.dial_failed(far.error());
    co_return refuse(*request, *record, refusal_for(far.error()), FlowEnd::failed, far.error().message());
  }
  // Another policy than the one that let it pass: not a byte goes before this one has.
  if (auto why = policy_.generation() == generation ? std::nullopt : refused_now(policy_, *record)) {
    record->allowed = false;
    const Refusal how = refusal_of_cut(request->key().protocol);
    co_return refuse(*request, *record, how, FlowEnd::policy, std::move(*why));
  }

  if (auto preparing = request->prepare(**far)) co_await std::move(*preparing);
  if (record->end != FlowEnd::open) co_return;
  auto near = request->accept();
  if (!near) co_return record->ended(FlowEnd::reset_by_source);  // the asker left while we dialled

  request.reset();  // what it holds of its asker's is not needed any more
  co_await relay(std::move(near), std::move(*far), std::move(record));
}

}  // namespace nsrun
