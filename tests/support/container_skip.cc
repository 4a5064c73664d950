#include "tests/support/container_skip.h"

#include <sched.h>

#include <cstdlib>
#include <iostream>

#include "container/device/tun.h"
#include "container/namespaces.h"
#include "runtime/command.h"

namespace nsrun {
namespace {

std::string try_sandbox() {
  Command command;
  command.clone_flags = clone_flags({});
  command.inside_uid = ::geteuid();
  command.inside_gid = ::getegid();
  command.run = [] { return open_tun("tun0").has_value() ? 0 : 1; };
  auto child = start(command);
  if (!child) return child.error().message();
  return child->wait() == 0 ? "" : "/dev/net/tun cannot be used here (chmod 0666 /dev/net/tun?)";
}

}  // namespace

std::string why_no_sandbox() {
  static const std::string reason = try_sandbox();
  return reason;
}

std::string why_no_newuidmap() {
  static const bool found = std::system("command -v newuidmap >/dev/null 2>&1") == 0;
  return found ? "" : "newuidmap is missing here (package uidmap)";
}

bool skip(const std::string& reason) {
  if (reason.empty()) return false;
  std::cout << "SKIPPED: " << reason << "\n";
  any_test_skipped = true;
  return true;
}

}  // namespace nsrun
