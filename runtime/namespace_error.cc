#include "runtime/namespace_error.h"

#include <fcntl.h>

#include <cstdlib>

#include "runtime/fd.h"

namespace nsrun {
namespace {

constexpr auto doing = "cannot make new namespaces";

std::optional<long> read_number(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  char text[32] = {};
  if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) return std::nullopt;
  return std::strtol(text, nullptr, 10);
}

Error forbidden(int number, std::string advice) {
  return {doing, errno_code(number), std::move(advice), ExitCode::no_namespace};
}

constexpr auto apparmor_advice =
    "AppArmor restricts user namespaces: as root, sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, "
    "or "
    "give nsrun an AppArmor profile with the rule \"userns,\"";

}  // namespace

NamespaceSettings read_namespace_settings() {
  return {read_number("/proc/sys/user/max_user_namespaces"),
          read_number("/proc/sys/kernel/unprivileged_userns_clone"),
          read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")};
}

Error namespace_error(int number, const NamespaceSettings& settings) {
  if (settings.max_user_namespaces == 0)
    return forbidden(number,
                     "user namespaces are turned off: as root, sysctl -w user.max_user_namespaces=16384");
  if (number == ENOSPC || number == EUSERS)
    return forbidden(
        number,
        "too many namespaces, or nested too deeply: see the limits in /proc/sys/user/max_*_namespaces");
  if (number == EINVAL || number == ENOSYS)
    return forbidden(number,
                     "the kernel needs user, network and mount namespaces: CONFIG_USER_NS, CONFIG_NET_NS");
  if (number != EPERM && number != EACCES) return forbidden(number, {});
  if (settings.unprivileged_userns_clone == 0)
    return forbidden(number, "as root, sysctl -w kernel.unprivileged_userns_clone=1");
  if (settings.apparmor_restricts_userns.value_or(0) != 0) return forbidden(number, apparmor_advice);
  return forbidden(
      number,
      "a seccomp filter, a chroot or a security module forbids user namespaces; in Docker, start the "
      "container with --security-opt seccomp=unconfined");
}

Error explain_missing_capability(Error error, const NamespaceSettings& settings) {
  const bool denied = error.code == errno_code(EPERM) || error.code == errno_code(EACCES);
  if (!denied || settings.apparmor_restricts_userns.value_or(0) == 0) return error;
  error.advice = apparmor_advice;
  error.exit = ExitCode::no_namespace;
  return error;
}

}  // namespace nsrun
