#include "tests/support/catch.h"

#include "runtime/namespace_error.h"

using namespace nsrun;
using Catch::Contains;

TEST_CASE("the setting that forbids user namespaces is named, with the command that lifts it") {
  const auto none = namespace_error(ENOSPC, {0, {}, {}});
  CHECK(none.exit == ExitCode::no_namespace);
  CHECK_THAT(none.message(), Contains("sysctl -w user.max_user_namespaces="));
  CHECK_THAT(namespace_error(EPERM, {100, 0, {}}).message(), Contains("kernel.unprivileged_userns_clone=1"));
  CHECK_THAT(namespace_error(EPERM, {100, 1, 1}).message(),
             Contains("kernel.apparmor_restrict_unprivileged_userns=0"));
}

TEST_CASE("where no setting forbids them, a filter does") {
  CHECK_THAT(namespace_error(EPERM, {100, 1, 0}).message(), Contains("seccomp"));
  CHECK_THAT(namespace_error(ENOSPC, {100, 1, 0}).message(), Contains("too many"));
  CHECK_THAT(namespace_error(EINVAL, {}).message(), Contains("CONFIG_USER_NS"));
}

TEST_CASE("a namespace without capabilities is put down to AppArmor only where AppArmor does that") {
  const Error denied{"cannot do it", errno_code(EPERM), "own advice", ExitCode::no_tun};
  const auto explained = explain_missing_capability(denied, {{}, {}, 1});
  CHECK(explained.exit == ExitCode::no_namespace);
  CHECK_THAT(explained.message(), Contains("AppArmor"));
  CHECK(explain_missing_capability(denied, {{}, {}, 0}).advice == "own advice");
  CHECK(explain_missing_capability({"x", errno_code(ENOENT), "own advice"}, {{}, {}, 1}).advice ==
        "own advice");
}
