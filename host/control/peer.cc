// A process is known by its pid, which after its end may be another's. So a descriptor of the process is held
// while its namespace is looked up in /proc, and the process must still live afterwards: then the pid was its
// own all the while. The descriptor is the kernel's (SCM_PIDFD, SO_PEERPIDFD), of the very process that sent
// or connected; before Linux 6.5 it is made from the pid, and a sender that ends at once and whose pid is
// given to another within that moment would be taken for it.
//
// The sender is asked anew for each message: a descriptor of a connection may have changed hands.

#include "host/control/peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "runtime/descriptor_reserve.h"

namespace nsrun {
namespace {

// include/uapi/asm-generic/socket.h, include/linux/socket.h; not in every libc's headers.
constexpr int so_pass_pidfd = 76, so_peer_pidfd = 77, scm_pidfd = 4;
constexpr std::size_t max_message_descriptors = 253;  // of one message (SCM_MAX_FD)

Error refused(std::string why) {
  return {"the control socket refuses this process: " + std::move(why),
          {},
          "it is for processes of the same account and user namespace as nsrun, outside of every sandbox"};
}

bool has_ended(int pidfd) {
  pollfd poll{pidfd, POLLIN, 0};
  return ::poll(&poll, 1, 0) != 0;
}

Result<void> check_process(pid_t process, int pidfd) {
  struct stat ours {
  }, theirs{};
  const std::string path = "/proc/" + std::to_string(process) + "/ns/user";
  if (::stat("/proc/self/ns/user", &ours) < 0 || ::stat(path.c_str(), &theirs) < 0)
    return refused("its namespaces cannot be seen");
  if (has_ended(pidfd)) return refused("it has ended");
  if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
    return refused("it is in another user namespace");
  return {};
}

UniqueFd open_process(pid_t process) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

void take(const cmsghdr& header, Received& received) {
  const auto* data = CMSG_DATA(&header);
  if (header.cmsg_level != SOL_SOCKET) return;
  if (header.cmsg_type == SCM_CREDENTIALS) {
    ucred who{};
    std::memcpy(&who, data, sizeof who);
    received.sender = who.pid;
  } else if (header.cmsg_type == scm_pidfd || header.cmsg_type == SCM_RIGHTS) {
    const std::size_t count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, data + i * sizeof number, sizeof number);
      UniqueFd descriptor(number);
      if (header.cmsg_type == scm_pidfd) received.pidfd = std::move(descriptor);
    }
  }
}

}  // namespace

void ask_for_senders(int socket) {
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, so_pass_pidfd, &on, sizeof on);
}

Received receive_from_sender(int socket, void* into, std::size_t size) {
  Received received;
  constexpr std::size_t room =
      CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(max_message_descriptors * sizeof(int));
  alignas(cmsghdr) std::array<char, room> control;
  iovec part{into, size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const UseDescriptorReserve reserve;  // for the descriptor of the sender's process
  received.size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received.size < 0) return received;
  for (auto* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
    take(*header, received);
  return received;
}

Result<void> check_sender(const Received& received) {
  if (received.sender <= 0) return refused("the kernel does not say who it is");
  if (received.pidfd) return check_process(received.sender, received.pidfd.get());
  const UseDescriptorReserve reserve;
  const UniqueFd process = open_process(received.sender);
  if (!process) return refused("it has ended");
  return check_process(received.sender, process.get());
}

Result<void> check_peer(int socket) {
  const UseDescriptorReserve reserve;
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.pid <= 0)
    return refused("the kernel does not say who it is");
  int number = -1;
  size = sizeof number;
  const bool told = ::getsockopt(socket, SOL_SOCKET, so_peer_pidfd, &number, &size) == 0;
  if (!told && errno != ENOPROTOOPT) return refused("it has ended");
  const UniqueFd process = told ? UniqueFd(number) : open_process(who.pid);
  if (!process) return refused("it has ended");
  return check_process(who.pid, process.get());
}

}  // namespace nsrun
