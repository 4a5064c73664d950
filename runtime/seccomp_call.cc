#include "runtime/seccomp_call.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>

namespace nsrun {

bool call_waits(int listener, std::uint64_t id) {
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool answer_call(int listener, std::uint64_t id, int error) {
  alignas(seccomp_notif_resp) std::array<char, max_notification> buffer{};
  const seccomp_notif_resp response{id, 0, -error, 0};
  std::memcpy(buffer.data(), &response, sizeof response);
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, buffer.data()) == 0;
}

}  // namespace nsrun
