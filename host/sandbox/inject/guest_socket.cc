#include "host/sandbox/inject/guest_socket.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <array>

#include "host/sandbox/inject/epoll_waiter.h"
#include "host/sandbox/inject/guest_thread.h"

namespace nsrun {
namespace {

int option(int socket, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, level, name, &value, &size) == 0 ? value : 0;
}

int tcp_state(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_state : -1;
}

// Linux reads and sets a file's flags without heed to others; a program that changes them in the middle of
// its own connect has to live with either order.
class WithoutBlocking {
 public:
  explicit WithoutBlocking(int file) : file_(file), flags_(::fcntl(file, F_GETFL)) {
    if (!(flags_ & O_NONBLOCK)) ::fcntl(file_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~WithoutBlocking() {
    if (!(flags_ & O_NONBLOCK)) ::fcntl(file_, F_SETFL, flags_);
  }
  WithoutBlocking(const WithoutBlocking&) = delete;

 private:
  const int file_;
  const int flags_;
};

Task<> until_ready(EpollWaiter& watched) { co_await watched.ready(); }

}  // namespace

bool SocketFacts::is_inet_stream() const {
  return (family == AF_INET || family == AF_INET6) && type == SOCK_STREAM;
}

Result<UniqueFd> copy_descriptor(pid_t thread, int descriptor) {
  const UniqueFd pidfd = open_thread(thread);
  if (!pidfd) return errno_error("cannot look at a process of the sandbox");
  UniqueFd file(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), descriptor, 0)));
  if (!file) return errno_error("cannot copy a descriptor of the sandbox's");
  return file;
}

int copy_address(const TrappedCall& call, SocketAddress& into) {
  if (call.length < 0 || static_cast<std::size_t>(call.length) > sizeof into.storage) return EINVAL;
  into.storage = {};
  into.length = static_cast<socklen_t>(call.length);
  const iovec here{&into.storage, into.length};
  const iovec there{reinterpret_cast<void*>(call.address), into.length};
  if (into.length == 0) return 0;
  return ::process_vm_readv(call.thread, &here, 1, &there, 1, 0) == call.length ? 0 : EFAULT;
}

SocketFacts facts_of(int socket) {
  SocketFacts facts;
  facts.family = option(socket, SOL_SOCKET, SO_DOMAIN);
  facts.type = option(socket, SOL_SOCKET, SO_TYPE);
  facts.protocol = option(socket, SOL_SOCKET, SO_PROTOCOL);
  socklen_t size = sizeof facts.network;
  ::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &facts.network, &size);
  return facts;
}

std::uint64_t inode_of(int file) {
  struct stat found {};
  return ::fstat(file, &found) == 0 ? found.st_ino : 0;
}

bool is_untouched(int socket) {
  SocketAddress own;
  if (::getsockname(socket, own.get(), &own.length) < 0) return false;
  if (const Endpoint bound = own.endpoint(); bound.port != 0 || !bound.address.is_unspecified()) return false;
  if (tcp_state(socket) != TCP_CLOSE) return false;
  socklen_t size = 0;  // in: no room; out: how many instructions there are
  if (::getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, nullptr, &size) < 0 || size != 0) return false;
  std::array<char, IFNAMSIZ> interface {};
  size = interface.size();
  if (::getsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, interface.data(), &size) < 0 || size != 0)
    return false;
  return !(::fcntl(socket, F_GETFL) & O_ASYNC);
}

bool is_listening(int socket) { return option(socket, SOL_SOCKET, SO_ACCEPTCONN) != 0; }

int connect_now(const GuestConnect& connect) {
  const WithoutBlocking at_once(connect.socket.get());
  return ::connect(connect.socket.get(), connect.address.get(), connect.address.length) == 0 ? 0 : errno;
}

std::optional<Clock::duration> send_timeout(int socket) {
  timeval time{};
  socklen_t size = sizeof time;
  if (::getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, &size) < 0) return std::nullopt;
  if (time.tv_sec == 0 && time.tv_usec == 0) return std::nullopt;
  constexpr long longest = 3600;  // seconds; the kernel gives a connect up after some minutes
  if (time.tv_sec >= longest) return std::nullopt;
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

Task<> writable_within(Executor executor, int socket, Clock::duration limit) {
  EpollWaiter watched(executor, socket, EPOLLOUT);
  co_await either(until_ready(watched), sleep_for(limit));
}

}  // namespace nsrun
