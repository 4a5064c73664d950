#include "runtime/route_watch.h"

#include "runtime/route_changes.h"

namespace nsrun {

asio::execution_context::id RouteWatch::id;

RouteWatch::RouteWatch(asio::execution_context& context)
    : service(context), changes_(open_route_changes()), looked_(Clock::now()) {}

void RouteWatch::look(Clock::time_point now) {
  looked_ = now;
  if (changes_ && drain_route_changes(changes_.get())) ++generation_;
}

}  // namespace nsrun
