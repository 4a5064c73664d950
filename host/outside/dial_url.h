#pragma once

#include <string_view>

#include "host/dialers/proxy_dialer.h"
#include "host/text/url_text.h"

namespace nsrun {

// The dialer a URL names:
//
//   direct://, socks5://, socks5h://, http://  host/dialers/proxy_dialer.h
//   tunnel+ws://…, tunnel+wss://…              a tunnel's server (host/tunnel/tunnel_dialer.h); names go there
//   an endpoint (host/endpoints/endpoint_url.h) that one, whatever the target
//
// Errors end nsrun with ExitCode::usage and do not repeat the password.
Result<std::unique_ptr<Dialer>> dialer_from_url(std::string_view url, Executor executor);

// Whether that dialer takes names as they are (socks5h, http, tunnels, endpoints), so that nothing need be
// resolved on the host. False for a URL that is none of ours.
bool resolves_names(std::string_view url);

}  // namespace nsrun
