#pragma once

#include <string>

namespace nsrun {

// Why this machine or account cannot make the namespaces and the TUN device; empty when it can.
std::string why_no_sandbox();

// Why newuidmap(1) cannot map a range of ids here; empty when it can.
std::string why_no_newuidmap();

// Catch2 2.13 has no SKIP: `if (skip(why_no_sandbox())) return;` prints the reason, and the program's status says
// that something was skipped, unless something failed.
bool skip(const std::string& reason);
extern bool any_test_skipped;  // tests/support/main.cc

}  // namespace nsrun
