#include "host/services/service.h"

namespace nsrun {
namespace {

Scope::Report to(Ledger& ledger) {
  return [&ledger](const std::string& what) { ledger.warning("a flow failed: " + what); };
}

}  // namespace

Service::Service(asio::io_context& context, Events& events, const std::string& control)
    : context_(context),
      ledger_(events),
      flows_scope_(context.get_executor(), to(ledger_)),
      sources_(context.get_executor(), to(ledger_)),
      world_(context.get_executor(), {}, flows_scope_, flows_.totals),
      shown_{{context_, flows_}} {
  if (!control.empty()) control_socket_.emplace(bind_control(control).value());
}

void Service::begin() {
  if (!control_socket_) return;
  flow_commands_.emplace(shown_, [this] {
    Counters totals;
    for (const auto& each : shown_) totals += each.flows.totals;
    return totals;
  });
  flow_commands_->add_to(commands_);
  control_.emplace(std::move(*control_socket_), std::move(commands_), sources_);
  control_->begin();
}

ClientSink Service::sink_to(Carrier& carrier) {
  return {
      .key = {},
      .request = [&](std::unique_ptr<Request> request) { carrier.begin(std::move(request), flows_scope_); },
      .trouble = [&](const Error& error) { ledger_.dial_failed(error); },
      .place = {}};
}

Task<> Service::end_sources() {
  co_await sources_.cancel_and_join();
  control_.reset();
}

Task<> Service::drain(Clock::duration limit) {
  co_await either(flows_scope_.join(), sleep_for(limit));
  co_await flows_scope_.cancel_and_join();
}

}  // namespace nsrun
