#pragma once

#include <optional>

#include "runtime/result.h"

// Why the system forbids namespaces, in words its owner can act on. The errno alone never says: each of the
// settings below shows as the same "Operation not permitted".

namespace nsrun {

// What /proc/sys says about user namespaces; empty where the kernel has no such setting.
struct NamespaceSettings {
  std::optional<long> max_user_namespaces;        // user.max_user_namespaces (namespaces(7))
  std::optional<long> unprivileged_userns_clone;  // kernel.unprivileged_userns_clone (Debian, Arch)
  std::optional<long> apparmor_restricts_userns;  // kernel.apparmor_restrict_unprivileged_userns (Ubuntu)
};
NamespaceSettings read_namespace_settings();

// clone(2) or unshare(2) of new namespaces failed with errno `number`.
Error namespace_error(int number, const NamespaceSettings& settings);

// The namespace was made, and then something in it was forbidden that its owner may do: AppArmor can make a
// user namespace without capabilities. Gives `error` back as it is where that is not the cause.
Error explain_missing_capability(Error error, const NamespaceSettings& settings);

}  // namespace nsrun
