#pragma once

#include <memory>
#include <string>

#include "host/endpoints/endpoint_url.h"
#include "host/tls/tls_context.h"

namespace nsrun {

// What the options of a tls:// endpoint mean; files are PEM, and read here:
//
//   cert=FILE key=FILE  what it shows of itself: required of a listener, else for servers that ask. FILE of
//                       cert may have the certificates that vouch for it, too
//   ca=FILE             dialled: who vouches for the server, in place of whom the system trusts; a listener
//                       takes only clients that show a certificate that one of these vouches for
//   alpn=a,b            protocols, in order of preference (RFC 7301)
//   name=HOST           dialled: whom the server has to prove to be, in place of the host that is dialled
//   verify=no           dialled: anybody will do
Result<TlsClientOptions> tls_client_options(const EndpointUrl& endpoint);
Result<std::unique_ptr<TlsContext>> tls_client(const EndpointUrl& endpoint);
Result<std::unique_ptr<TlsContext>> tls_server(const EndpointUrl& endpoint);

}  // namespace nsrun
