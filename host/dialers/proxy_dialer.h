#pragma once

#include <string>
#include <string_view>

#include "host/flow/dialer.h"
#include "runtime/task.h"

namespace nsrun {

// The dialer of a URL that names the host's own network or a proxy:
//
//   direct://                                  the host's own network
//   socks5://[user[:password]@]host[:1080]     a proxy; names are resolved here
//   socks5h://…                                a proxy; names are resolved there
//   http://[user:password@]host[:80]           a proxy, by CONNECT; names are resolved there
//
// User, password and path may be percent-encoded (RFC 3986 2.1). A proxy's own name is not checked. Errors end
// nsrun with ExitCode::usage and do not repeat the password.
Result<std::unique_ptr<Dialer>> proxy_dialer(std::string_view url, Executor executor);

// Whether its scheme is one of these four.
bool is_proxy_url(std::string_view url);
// The four forms, for an error message.
std::string proxy_url_forms();
// Whether that dialer takes names as they are (socks5h, http). False for other URLs.
bool proxy_resolves_names(std::string_view url);
// Whether it is direct://, which is what a host does without a dialer.
bool dials_directly(std::string_view url);

}  // namespace nsrun
