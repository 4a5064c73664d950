#include "host/carrier.h"

#include "host/inspect/inspect.h"
#include "host/relay.h"

namespace nsrun {
namespace {

void refuse(Request& request, FlowRecord& record, Refusal how, FlowEnd end, std::string why) {
  record.rejected = how != Refusal::drop;
  record.why = std::move(why);
  record.ended(end);
  request.refuse(how);
}

}  // namespace

Task<> Carrier::carry(std::unique_ptr<Request> request) {
  auto record = ledger_.open(request->key(), asker_, totals_);
  Verdict verdict = policy_.judge(request->key());
  if (verdict.asks) verdict = co_await policy_.ask(request->key(), std::move(verdict));
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
  if (!far) {
    ledger_.dial_failed(far.error());
    record->allowed = far.error().code != denied_by_policy;
    const auto end = record->allowed ? FlowEnd::failed : FlowEnd::refused;
    co_return refuse(*request, *record, refusal_for(far.error()), end, far.error().message());
  }

  const bool inspected = verdict.inspection != Inspection::none;
  if (auto preparing = request->prepare(**far, inspected)) co_await std::move(*preparing);
  auto near = request->accept();
  if (!near) co_return record->ended(FlowEnd::reset_by_source);  // the asker left while we dialled

  request.reset();  // what it holds of its asker's is not needed any more
  if (inspected) near = co_await inspect(std::move(near), **far, verdict, *record);
  if (!near) co_return;  // what was said does not agree
  co_await relay(std::move(near), std::move(*far), std::move(record));
}

}  // namespace nsrun
