#include "host/sandbox/inject/moved_flows.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "host/carry/rejudge.h"
#include "host/flow/relay.h"
#include "host/flow/socket_connection.h"

namespace nsrun {
namespace {

constexpr std::size_t max_refused = 1024;  // that wait for their SYN; past it the oldest goes

}  // namespace

bool MovedFlows::claim(std::unique_ptr<Request>& request) {
  const FlowKey key = request->key();
  if (expected_.erase(key) == 0) return refuse_if_decided(*request);
  stack_.expect_no_more(key);
  arrival_(key, MovedRequest(*this, std::move(request)));
  return true;
}

Task<> MovedFlows::expect(FlowKey key) { co_await run_on(home_, note(key)); }

Task<> MovedFlows::note(FlowKey key) {
  stack_.expect(key);
  expected_.insert(key);
  co_return;
}

void MovedFlows::expect_no_more(FlowKey key) {
  asio::post(home_, [this, key] {
    if (expected_.erase(key) > 0) stack_.expect_no_more(key);
  });
}

// The stack goes on expecting it: it must come here to be refused.
void MovedFlows::refuse(FlowKey key, Refusal how) {
  asio::post(home_, [this, key, how] {
    expected_.erase(key);
    refused_.push_back({key, how, Clock::now() + max_way});
    if (refused_.size() > max_refused) forget_oldest();
  });
}

void MovedFlows::forget_oldest() {
  stack_.expect_no_more(refused_.front().key);
  refused_.pop_front();
}

bool MovedFlows::refuse_if_decided(Request& syn) {
  while (!refused_.empty() && refused_.front().until < Clock::now()) forget_oldest();
  const auto same = [&](const Refused& one) { return one.key == syn.key(); };
  const auto decided = std::find_if(refused_.begin(), refused_.end(), same);
  if (decided == refused_.end()) return false;
  stack_.expect_no_more(decided->key);
  syn.refuse(decided->how);
  refused_.erase(decided);
  return true;
}

// Its connect was answered while it was on its way to the injector; or given up, and then it comes again.
void MovedFlows::settle(std::unique_ptr<Request> syn) {
  asio::post(home_, [this, syn = std::move(syn)] { refuse_if_decided(*syn); });
}

void MovedFlows::carry(std::unique_ptr<Connection> near, UniqueFd far, std::unique_ptr<FlowRecord> record) {
  record->enter(flows_);
  if (!near) return record->ended(FlowEnd::reset_by_source);
  // A new policy has looked at the flows of this loop, perhaps, while this was on its way here.
  if (auto why = refused_now(policy_, *record)) {
    record->why = std::move(*why);
    record->ended(FlowEnd::policy);
    return near->reset();
  }
  auto socket = std::make_unique<SocketConnection>(tasks_.executor(), std::move(far));
  tasks_.spawn(relay(std::move(near), std::move(socket), std::move(record)));
}

}  // namespace nsrun
