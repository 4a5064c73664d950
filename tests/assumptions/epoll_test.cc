// epoll(7): the stack keeps its device and its sockets in an epoll set of its own, and Asio waits on the set.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/catch.h"

#include "runtime/fd.h"
#include "runtime/task.h"

using namespace nsrun;

namespace {

bool is_readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1;
}

void add(int set, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  REQUIRE(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
}

}  // namespace

TEST_CASE("an epoll descriptor is readable while events wait in its set") {
  const UniqueFd set(::epoll_create1(EPOLL_CLOEXEC)), event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  add(set.get(), event.get(), EPOLLIN);
  CHECK(!is_readable(set.get()));
  ::eventfd_write(event.get(), 1);
  CHECK(is_readable(set.get()));
  eventfd_t ignored;
  ::eventfd_read(event.get(), &ignored);
  CHECK(!is_readable(set.get()));
}

TEST_CASE("Asio's wait on an epoll descriptor ends at once when events wait already") {
  const UniqueFd event(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  add(set, event.get(), EPOLLIN);
  asio::io_context context{1};
  Descriptor descriptor(context, set);
  for (int round = 0; round < 3; ++round) {
    bool woken = false;
    descriptor.async_wait(Descriptor::wait_read, [&](boost::system::error_code error) { woken = !error; });
    context.restart();
    context.run_for(1s);
    CHECK(woken);  // level, not edge: the event was never taken
  }
}

TEST_CASE("a socket that was closed stays in an epoll set while another descriptor of it is open") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd other(ends[1]), set(::epoll_create1(EPOLL_CLOEXEC));
  add(set.get(), ends[0], EPOLLIN);
  const UniqueFd held_elsewhere(::dup(ends[0]));  // as a forked process would
  ::close(ends[0]);
  REQUIRE(::write(other.get(), "x", 1) == 1);
  CHECK(is_readable(set.get()));  // hence EPOLL_CTL_DEL before close, wherever the pointer dies too
}
