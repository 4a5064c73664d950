#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>
#include "tests/support/catch.h"

#include "host/sandbox/inject/guest_socket.h"
#include "host/sandbox/inject/guest_thread.h"
#include "host/sandbox/inject/seccomp_listener.h"
#include "host/sandbox/inject/shared_descriptors.h"
#include "host/sandbox/inject/socket_options.h"

// This process stands for the guest's here, and its own descriptors for the guest's.

using namespace nsrun;

namespace {

UniqueFd tcp(int family = AF_INET) { return UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

int number(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, level, name, &value, &size);
  return value;
}

void set(int socket, int level, int name, int value) {
  REQUIRE(::setsockopt(socket, level, name, &value, sizeof value) == 0);
}

bool has_other_names(const UniqueFd& socket) {
  return is_shared(::getpid(), ::getpid(), inode_of(socket.get()));
}

}  // namespace

TEST_CASE("a socket with one descriptor is not shared") { CHECK_FALSE(has_other_names(tcp())); }

TEST_CASE("a socket with a second descriptor is shared") {
  const UniqueFd socket = tcp();
  const UniqueFd copy(::dup(socket.get()));
  CHECK(has_other_names(socket));
}

TEST_CASE("a socket in an epoll set is shared, one beside it is not") {
  const UniqueFd socket = tcp(), other = tcp();
  const UniqueFd set_of(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{EPOLLIN, {}};
  REQUIRE(::epoll_ctl(set_of.get(), EPOLL_CTL_ADD, socket.get(), &event) == 0);
  CHECK(has_other_names(socket));
  CHECK_FALSE(has_other_names(other));
}

TEST_CASE("a socket that a child process holds is shared, for as long as it runs") {
  const UniqueFd socket = tcp();
  int gate[2];
  REQUIRE(::pipe2(gate, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(gate[1]);
    char none;
    (void)!::read(gate[0], &none, 1);
    ::_exit(0);
  }
  CHECK(has_other_names(socket));
  ::close(gate[1]);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(has_other_names(socket));
  ::close(gate[0]);
}

TEST_CASE("more descriptors than are looked at count as shared") {
  const UniqueFd socket = tcp();
  std::vector<UniqueFd> many;
  for (int i = 0; i < 600; ++i) many.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(has_other_names(socket));
}

TEST_CASE("where the kernel does not tell a process's children, every socket counts as shared") {
  constexpr pid_t nobody = 0;  // no such directory in /proc: as without CONFIG_PROC_CHILDREN
  CHECK(is_shared(nobody, ::getpid(), inode_of(tcp().get())));
}

TEST_CASE("a thread has a signal from when it is sent until it is taken, unless it is blocked") {
  sigset_t one, before;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &one, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    // Stopped by its tracer before the signal reaches it, which then waits and is not blocked.
    ::ptrace(PTRACE_TRACEME);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSTOPPED(status));
  CHECK_FALSE(has_signal(child));
  ::kill(child, SIGUSR2);
  CHECK(has_signal(child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::kill(::getpid(), SIGUSR2);
  CHECK_FALSE(has_signal(::getpid()));
  const timespec at_once{};
  ::sigtimedwait(&one, nullptr, &at_once);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a descriptor is known by its socket and by what exec does to it") {
  const UniqueFd socket = tcp(), other = tcp();
  CHECK(still_names(::getpid(), socket.get(), inode_of(socket.get())));
  CHECK_FALSE(still_names(::getpid(), other.get(), inode_of(socket.get())));
  CHECK(closes_on_exec(::getpid(), socket.get(), inode_of(socket.get())) == true);
  ::fcntl(socket.get(), F_SETFD, 0);
  CHECK(closes_on_exec(::getpid(), socket.get(), inode_of(socket.get())) == false);
  CHECK(closes_on_exec(::getpid(), other.get(), inode_of(socket.get())) == std::nullopt);
}

TEST_CASE("a fresh socket is untouched; a bound, listening or filtering one is not") {
  for (const int family : {AF_INET, AF_INET6}) CHECK(is_untouched(tcp(family).get()));
  const UniqueFd bound = tcp(), listening = tcp();
  const SocketAddress any(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(bound.get(), any.get(), any.length) == 0);
  REQUIRE(::listen(listening.get(), 1) == 0);
  CHECK_FALSE(is_untouched(bound.get()));
  CHECK_FALSE(is_untouched(listening.get()));
  CHECK(is_listening(listening.get()));
}

TEST_CASE("an address is copied as connect(2) would take it") {
  SocketAddress there(Endpoint{IpAddress::v4(192, 0, 2, 1), 80});
  TrappedCall call;
  call.thread = ::getpid();
  call.address = reinterpret_cast<std::uint64_t>(there.get());
  call.length = static_cast<int>(there.length);
  SocketAddress copy;
  CHECK(copy_address(call, copy) == 0);
  CHECK(copy.endpoint() == there.endpoint());
  call.length = -1;
  CHECK(copy_address(call, copy) == EINVAL);
  call.length = 1000;
  CHECK(copy_address(call, copy) == EINVAL);
  call.length = 16;
  call.address = 1;
  CHECK(copy_address(call, copy) == EFAULT);
}

TEST_CASE("options of the guest's replace the dialer's, set or not") {
  const UniqueFd guest = tcp(), far = tcp();
  set(guest.get(), IPPROTO_TCP, TCP_KEEPIDLE, 77);
  set(guest.get(), SOL_SOCKET, SO_RCVBUF, 40'000);
  ::fcntl(guest.get(), F_SETFL, O_NONBLOCK);
  set(far.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set(far.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  const int send_buffer = number(far.get(), SOL_SOCKET, SO_SNDBUF);
  carry_options_over(guest.get(), far.get());
  CHECK(number(far.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 77);
  CHECK(number(far.get(), SOL_SOCKET, SO_RCVBUF) == number(guest.get(), SOL_SOCKET, SO_RCVBUF));
  CHECK(number(far.get(), SOL_SOCKET, SO_SNDBUF) == send_buffer);
  CHECK(number(far.get(), IPPROTO_TCP, TCP_NODELAY) == 0);
  CHECK(number(far.get(), SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK((::fcntl(far.get(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("SO_LINGER is carried over by itself") {
  const UniqueFd guest = tcp(), far = tcp();
  const linger wished{1, 5};
  linger got{};
  socklen_t size = sizeof got;
  REQUIRE(::setsockopt(guest.get(), SOL_SOCKET, SO_LINGER, &wished, sizeof wished) == 0);
  carry_options_over(guest.get(), far.get());
  REQUIRE(::getsockopt(far.get(), SOL_SOCKET, SO_LINGER, &got, &size) == 0);
  CHECK(got.l_onoff == 0);
  carry_linger_over(guest.get(), far.get());
  REQUIRE(::getsockopt(far.get(), SOL_SOCKET, SO_LINGER, &got, &size) == 0);
  CHECK(got.l_onoff == 1);
  CHECK(got.l_linger == 5);
}

TEST_CASE("connecting a blocking socket does not wait, and leaves it blocking") {
  Presence presence;
  GuestConnect connect;
  connect.socket = GuestFile(tcp(), presence);
  connect.address = SocketAddress(Endpoint{IpAddress::v4(127, 0, 0, 1), 1});
  CHECK(connect_now(connect) != 0);
  CHECK((::fcntl(connect.socket.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("what is no seccomp listener is not taken for one") {
  CHECK_FALSE(SeccompListener::open(tcp()).has_value());
  CHECK_FALSE(SeccompListener::open(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))).has_value());
}

TEST_CASE("an epoll set with more to tell than is read may hold the socket") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit before = limit;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const UniqueFd set(::epoll_create1(EPOLL_CLOEXEC)), event(::eventfd(0, EFD_CLOEXEC)), socket = tcp();
  {
    // The set keeps what was added by numbers that are closed since: few descriptors, a long text.
    std::vector<UniqueFd> numbers;
    for (int i = 0; i < 1200; ++i) {
      numbers.emplace_back(::fcntl(event.get(), F_DUPFD_CLOEXEC, 3));
      epoll_event wanted{};
      REQUIRE(::epoll_ctl(set.get(), EPOLL_CTL_ADD, numbers.back().get(), &wanted) == 0);
    }
  }
  CHECK(has_other_names(socket));
  ::setrlimit(RLIMIT_NOFILE, &before);
}
