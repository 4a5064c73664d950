#pragma once

#include <memory>
#include <optional>

#include "host/endpoints/endpoint_url.h"
#include "host/listen/client_quota.h"
#include "host/listen/listener.h"
#include "host/listen/unix_socket.h"
#include "host/tls/tls_context.h"

namespace nsrun {

// An endpoint of ours at which clients are awaited: a source of requests.
class EndpointListener {
 public:
  // Clients wait from now on. An error: the place is taken (ExitCode::port_in_use where it is a port), or the
  // URL cannot be listened at.
  static Result<std::unique_ptr<EndpointListener>> bind(const EndpointUrl& where);
  // One in the sandbox, with a socket that was made there (SandboxSockets) for the endpoint's address.
  static Result<std::unique_ptr<EndpointListener>> bind_inside(const EndpointUrl& where, UniqueFd made);

  // Of an endpoint that is listened at by address: IPv4 before IPv6; :: for all.
  static Result<IpAddress> address_of(const EndpointUrl& where);
  // As it was asked for, with the port that was found where that was 0.
  const EndpointUrl& where() const { return where_; }
  // Takes clients until cancelled, and then listens no longer. Those of TLS are requests once they have
  // shaken hands; `tasks` owns the handshakes, and ends before this does.
  Task<> run(Scope& tasks, ClientSink sink);
  // Likewise, for those who want the sockets of a stream endpoint, which is not tls.
  Task<> accept(StreamSink take, ClientSink sink);

 private:
  struct Closing;
  explicit EndpointListener(EndpointUrl where) : where_(std::move(where)) {}
  Result<void> open();
  Result<void> open_ip();
  Result<void> take_bound(Result<UniqueFd> bound);
  int socket() const { return file_ ? file_->fd() : socket_.get(); }
  Task<> shake_hands(Client client, UniqueFd socket, std::shared_ptr<const ClientSink> sink,
                     Executor executor, asio::cancellation_signal& cancel);

  EndpointUrl where_;
  UniqueFd socket_;
  std::optional<UnixSocket> file_;                    // in place of socket_
  std::unique_ptr<TlsContext> tls_;                   // null: plain
  static constexpr std::size_t max_handshakes = 256;  // at once; then the oldest give way
  ClientQuota handshakes_{max_handshakes};
};

}  // namespace nsrun
