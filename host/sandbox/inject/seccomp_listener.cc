#include "host/sandbox/inject/seccomp_listener.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstring>
#include <string>

namespace nsrun {
namespace {

constexpr auto kind = "anon_inode:seccomp notify";  // as /proc/PID/fd calls it

// SECCOMP_IOCTL_NOTIF_SET_FLAGS and SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, newer than distributions' headers.
constexpr unsigned long set_flags = _IOW(SECCOMP_IOC_MAGIC, 4, std::uint64_t);
constexpr unsigned long sync_wake_up = 1;

// By its name: an ioctl on a file whose maker is the guest (CUSE) could keep us for ever.
bool is_listener(int fd) {
  std::array<char, 64> link{};
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(path.c_str(), link.data(), link.size());
  return size > 0 && std::string_view(link.data(), static_cast<std::size_t>(size)) == kind;
}

constexpr int x32_bit = 0x4000'0000;  // in the numbers of x86-64's x32 ABI

struct Numbers {
  int bind, listen;
};

Numbers numbers_of(std::uint32_t architecture) {
#ifdef AUDIT_ARCH_I386
  if (architecture == AUDIT_ARCH_I386) return {361, 363};
#endif
#if defined(__aarch64__)
  if (architecture == AUDIT_ARCH_ARM) return {282, 284};
#endif
  (void)architecture;
  return {SYS_bind, SYS_listen};
}

TrappedCall::Kind kind_of(const seccomp_data& data) {
  const Numbers numbers = numbers_of(data.arch);
  const int number = data.nr & ~x32_bit;
  if (number == numbers.bind) return TrappedCall::Kind::bind;
  return number == numbers.listen ? TrappedCall::Kind::listen : TrappedCall::Kind::connect;
}

TrappedCall as_call(const seccomp_notif& notification) {
  const auto& args = notification.data.args;
  TrappedCall call;
  call.kind = kind_of(notification.data);
  call.id = notification.id;
  call.thread = static_cast<pid_t>(notification.pid);
  call.descriptor = static_cast<int>(args[0]);
  if (call.kind == TrappedCall::Kind::listen) {
    call.backlog = static_cast<int>(args[1]);
  } else {
    call.address = args[1];
    call.length = static_cast<int>(args[2]);
  }
  return call;
}

short events(int fd) {
  pollfd state{fd, POLLIN, 0};
  return ::poll(&state, 1, 0) == 1 ? state.revents : short{0};
}

}  // namespace

Result<SeccompListener> SeccompListener::open(UniqueFd listener) {
  seccomp_notif_sizes sizes{};
  if (!is_listener(listener.get())) return Error{"the sandbox sent something else than a seccomp listener"};
  if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0 ||
      sizes.seccomp_notif > max_notification || sizes.seccomp_notif_resp > max_notification)
    return Error{"this kernel's seccomp notifications are larger than any known"};
  // The caller sleeps until we answer, and we mostly do when it calls: one processor can serve both in turn,
  // which spares a wake-up of another. Before Linux 6.6 it is not known.
  ::ioctl(listener.get(), set_flags, sync_wake_up);
  return SeccompListener(std::move(listener));
}

std::optional<TrappedCall> SeccompListener::receive() const {
  // The ioctl waits where there is nothing.
  while (events(listener_.get()) & POLLIN) {
    alignas(seccomp_notif) std::array<char, max_notification> buffer{};  // zeroes, or EINVAL
    if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, buffer.data()) < 0) {
      if (errno == EINTR || errno == ENOENT) continue;  // ENOENT: the caller died at this moment
      return std::nullopt;
    }
    seccomp_notif call;
    std::memcpy(&call, buffer.data(), sizeof call);
    return as_call(call);
  }
  return std::nullopt;
}

bool SeccompListener::is_over() const { return (events(listener_.get()) & (POLLHUP | POLLERR)) != 0; }

void SeccompListener::let_go_on(std::uint64_t id) const {
  alignas(seccomp_notif_resp) std::array<char, max_notification> buffer{};
  const seccomp_notif_resp response{id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  std::memcpy(buffer.data(), &response, sizeof response);
  ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, buffer.data());
}

int SeccompListener::replace(std::uint64_t id, int descriptor, int file, bool close_on_exec) const {
  const seccomp_notif_addfd put{.id = id,
                                .flags = SECCOMP_ADDFD_FLAG_SETFD,
                                .srcfd = static_cast<__u32>(file),
                                .newfd = static_cast<__u32>(descriptor),
                                .newfd_flags = close_on_exec ? __u32{O_CLOEXEC} : __u32{0}};
  return ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &put) < 0 ? errno : 0;
}

}  // namespace nsrun
