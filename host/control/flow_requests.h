#pragma once

#include <boost/json/object.hpp>
#include <vector>

#include "host/flow/flow_loop.h"

namespace nsrun {

constexpr std::size_t max_flows_told = 256;  // in one answer: a fraction of a millisecond of each loop

// {"flows": […], "more": true|false}: those with a number above `after`, in the order of their numbers.
Task<boost::json::object> list_flows(std::vector<FlowLoop> loops, std::uint64_t after);
// Ends the flow of that number. False: none lives that has it.
Task<bool> cut_flow(std::vector<FlowLoop> loops, std::uint64_t number);

}  // namespace nsrun
