#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "netstack/idle_spin.h"

namespace nsrun {

// Runs the loop until `done`, asked after each turn. What it does when there is nothing to do is as for a
// stack: a forward's short flow is woken for several times, and each costs more than all else it does.
void run_until(boost::asio::io_context& context, Latency latency, const std::function<bool()>& done);

}  // namespace nsrun
