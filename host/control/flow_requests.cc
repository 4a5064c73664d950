#include "host/control/flow_requests.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <map>

#include "host/log/json_log.h"

namespace nsrun {
namespace {

using Found = std::map<std::uint64_t, boost::json::object>;  // by the flow's number

// One more than may be told: then there are more.
Task<> collect(LiveFlows& flows, std::uint64_t after, Found& found) {
  LiveFlows::Walk walk(flows);
  std::size_t taken = 0;
  while (FlowRecord* flow = walk.next()) {
    if (flow->id <= after || flow->end != FlowEnd::open) continue;
    found[flow->id] = describe(*flow);
    if (++taken > max_flows_told) break;
  }
  co_return;
}

Task<> cut(LiveFlows& flows, std::uint64_t number, bool& done) {
  LiveFlows::Walk walk(flows);
  while (FlowRecord* flow = walk.next()) {
    if (flow->id != number || flow->end != FlowEnd::open) continue;
    flow->cut("cut by its number, over the control socket");
    done = true;
    break;
  }
  co_return;
}

}  // namespace

Task<boost::json::object> list_flows(std::vector<FlowLoop> loops, std::uint64_t after) {
  Found found;
  for (const auto& loop : loops) co_await run_on(loop.context, collect(loop.flows, after, found));
  boost::json::array flows;
  for (auto& [number, flow] : found) {
    if (flows.size() == max_flows_told) break;
    flows.push_back(std::move(flow));
  }
  co_return boost::json::object{{"flows", std::move(flows)}, {"more", found.size() > max_flows_told}};
}

Task<bool> cut_flow(std::vector<FlowLoop> loops, std::uint64_t number) {
  bool done = false;
  for (const auto& loop : loops)
    if (!done) co_await run_on(loop.context, cut(loop.flows, number, done));
  co_return done;
}

}  // namespace nsrun
