#pragma once

#include <string_view>

#include "host/dialers/resolving_dialer.h"
#include "host/endpoints/url_text.h"

namespace nsrun {

// The dialer a URL names:
//
//   direct://                                  the host's own network
//   socks5://[user[:password]@]host[:1080]     a proxy; names are resolved here
//   socks5h://…                                a proxy; names are resolved there
//   http://[user:password@]host[:80]           a proxy, by CONNECT; names are resolved there
//   tunnel+ws://…, tunnel+wss://…              a tunnel's server (host/tunnel/tunnel_dialer.h); names go
//   there an endpoint (host/endpoints/endpoint_url.h)   that one, whatever the target
//
// User, password and path may be percent-encoded (RFC 3986 2.1). A proxy's own name is not
// checked. Errors end nsrun with ExitCode::usage and do not repeat
// the password.
Result<std::unique_ptr<Dialer>> dialer_from_url(std::string_view url, Executor executor);

// Whether that dialer takes names as they are (socks5h, http, tunnels, endpoints), so that nothing need be
// resolved on the host. False for a URL that is none of ours.
bool resolves_names(std::string_view url);
// Whether it is direct://, which is what a host does without a dialer.
bool dials_directly(std::string_view url);

}  // namespace nsrun
