#include "host/services/service_loop.h"

#include <boost/asio/post.hpp>
#include "tests/support/catch.h"

#include "runtime/task.h"

using namespace nsrun;

TEST_CASE("a service's loop runs what is there, sleeps for what comes later, and ends when it is done") {
  for (const auto latency : {Latency::automatic, Latency::low, Latency::cpu}) {
    asio::io_context context(1);
    std::vector<int> ran;
    Timer timer(context.get_executor(), 5ms);
    timer.async_wait([&](auto) {
      ran.push_back(3);
      asio::post(context, [&] { ran.push_back(4); });
    });
    for (int i : {1, 2}) asio::post(context, [&ran, i] { ran.push_back(i); });
    const auto work = asio::make_work_guard(context);
    run_until(context, latency, [&] { return ran.size() == 4; });
    CHECK(ran == std::vector<int>{1, 2, 3, 4});
    asio::post(context, [&] { ran.push_back(5); });
    run_until(context, latency, [&] { return true; });
    CHECK(ran.size() == 4);  // done is done, whatever else there is
  }
}
