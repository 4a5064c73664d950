#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include "tests/support/catch.h"

// What runtime/task_cancellation.h is for. Boost 1.88 ends such a task; once every supported Boost does, that
// class can go.
#include <boost/version.hpp>
#if BOOST_VERSION <= 108300

namespace asio = boost::asio;
using Task = asio::awaitable<void, asio::io_context::executor_type>;

namespace {

Task cancel_itself(asio::cancellation_signal& cancellation) {
  cancellation.emit(asio::cancellation_type::terminal);
  co_return;
}

}  // namespace

TEST_CASE("Asio forgets a task that is cancelled and ends without having waited once, and its loop throws") {
  asio::io_context context;
  asio::cancellation_signal cancellation;
  bool ended = false;
  asio::co_spawn(
      context, cancel_itself(cancellation),
      asio::bind_cancellation_slot(cancellation.slot(), [&](std::exception_ptr) { ended = true; }));
  CHECK_THROWS_AS(context.run(), boost::system::system_error);
  CHECK_FALSE(ended);
}

#endif
