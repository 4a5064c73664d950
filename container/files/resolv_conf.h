#pragma once

#include <string>
#include <string_view>

#include "runtime/network.h"
#include "runtime/result.h"

namespace nsrun {

// The guest's resolv.conf(5): our name servers, and the host's search, domain and options lines.
std::string guest_resolv_conf(const NetworkOptions& network, std::string_view host_file);

// Puts that text over /etc/resolv.conf in the current, private mount namespace; no file on disk is made or
// changed. An error leaves everything as it was.
Result<void> replace_resolv_conf(const NetworkOptions& network);

}  // namespace nsrun
