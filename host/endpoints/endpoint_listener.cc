#include "host/endpoints/endpoint_listener.h"

#include <netdb.h>

#include <charconv>
#include <cstring>

#include "host/endpoints/endpoint_tls.h"
#include "host/endpoints/vsock.h"
#include "host/flow/socket_connection.h"
#include "host/listen/bind.h"
#include "host/tls/tls_connection.h"

namespace nsrun {
namespace {

using Kind = EndpointUrl::Kind;

constexpr mode_t usual_mode = 0600;

Error not_listened(const EndpointUrl& endpoint, const std::string& what, std::string advice) {
  return {"cannot listen at '" + endpoint.text + "': " + what, {}, std::move(advice), ExitCode::usage};
}

Result<mode_t> mode_of(const EndpointUrl& endpoint) {
  const auto found = endpoint.options.find("mode");
  if (found == endpoint.options.end()) return usual_mode;
  const std::string& text = found->second;
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc{} || end != text.data() + text.size() || mode > 0777)
    return not_listened(endpoint, "mode '" + text + "' is none", "write it in octal, for instance mode=0660");
  return mode;
}

// Where the connections of a virtual machine to the host's port arrive.
std::string file_of(const EndpointUrl& endpoint) {
  return endpoint.kind == Kind::hybrid_vsock ? endpoint.path + "_" + std::to_string(endpoint.port)
                                             : endpoint.path;
}

}  // namespace

Result<std::unique_ptr<EndpointListener>> EndpointListener::bind(const EndpointUrl& where) {
  std::unique_ptr<EndpointListener> listener(new EndpointListener(where));
  if (auto opened = listener->open(); !opened) return opened.error();
  return listener;
}

Result<std::unique_ptr<EndpointListener>> EndpointListener::bind_inside(const EndpointUrl& where,
                                                                        UniqueFd made) {
  std::unique_ptr<EndpointListener> listener(new EndpointListener(where));
  const auto address = address_of(where);
  if (!address) return address.error();
  const Endpoint there{*address, static_cast<std::uint16_t>(where.port)};
  auto taken = listener->take_bound(bind_made(std::move(made), where.protocol(), there,
                                              "cannot listen at " + where.to_string(), "choose another port",
                                              where.host.empty()));
  if (!taken) return taken.error();
  return listener;
}

// Before anything runs: a name may take a while.
Result<IpAddress> EndpointListener::address_of(const EndpointUrl& endpoint) {
  if (endpoint.host.empty()) return IpAddress{};
  if (endpoint.is_guest()) return endpoint.target().endpoint.address;
  if (const auto address = IpAddress::parse(endpoint.host)) return *address;
  for (const int family : {AF_INET, AF_INET6}) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found) != 0) continue;
    SocketAddress address;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return address.endpoint().address;
  }
  return not_listened(endpoint, "'" + endpoint.host + "' has no address", "write an address of this machine");
}

Result<void> EndpointListener::open() {
  if (where_.is_guest())
    return not_listened(where_, "there is no sandbox here", "guest+… is for nsrun --forward … -- COMMAND");
  if (where_.is_ip()) return open_ip();
  if (where_.kind == Kind::vsock) {
    auto bound = bind_vsock(where_.cid, where_.port);
    if (!bound) return bound.error();
    socket_ = std::move(*bound);
    where_.port = vsock_port_of(socket_.get());
    return {};
  }
  const auto mode = mode_of(where_);
  if (!mode) return mode.error();
  const int type = where_.kind == Kind::unix_datagram ? SOCK_DGRAM : SOCK_STREAM;
  auto bound = UnixSocket::bind(file_of(where_), {.mode = *mode, .type = type});
  if (!bound) return bound.error();
  file_.emplace(std::move(*bound));
  return {};
}

Result<void> EndpointListener::open_ip() {
  if (where_.kind == Kind::tls) {
    auto context = tls_server(where_);
    if (!context) return context.error();
    tls_ = std::move(*context);
  }
  const auto address = address_of(where_);
  if (!address) return address.error();
  const auto port = static_cast<std::uint16_t>(where_.port);
  const auto here = where_.host.empty() ? std::nullopt : std::optional(*address);
  auto bound = bind_ip(where_.protocol(), here, port, "cannot listen at " + where_.to_string(),
                       "another program listens there; choose another port");
  return take_bound(std::move(bound));
}

Result<void> EndpointListener::take_bound(Result<UniqueFd> bound) {
  if (!bound) return bound.error();
  socket_ = std::move(*bound);
  SocketAddress own;
  ::getsockname(socket_.get(), own.get(), &own.length);
  where_.port = own.endpoint().port;
  return {};
}

// Who comes later is refused, rather than left waiting for us to end.
struct EndpointListener::Closing {
  EndpointListener& listener;
  ~Closing() {
    listener.socket_.reset();
    listener.file_.reset();
  }
};

Task<> EndpointListener::accept(StreamSink take, ClientSink sink) {
  if (sink.place.empty()) sink.place = where_.to_string();
  const Executor executor = co_await asio::this_coro::executor;
  const Closing closing{*this};
  co_await accept_sockets(executor, socket(), std::move(take), std::move(sink));
}

Task<> EndpointListener::run(Scope& tasks, ClientSink sink) {
  if (sink.place.empty()) sink.place = where_.to_string();
  const Executor executor = tasks.executor();
  const Closing closing{*this};
  if (where_.transport() == Transport::datagram) {
    co_await receive_datagrams(executor, socket(), std::move(sink));
  } else if (!tls_) {
    co_await accept_streams(executor, socket(), std::move(sink));
  } else {
    const auto take = [&, shared = std::make_shared<const ClientSink>(sink)](Client client,
                                                                             UniqueFd accepted) {
      tasks.spawn_cancellable([&](auto& cancel) {
        return shake_hands(std::move(client), std::move(accepted), shared, executor, cancel);
      });
    };
    co_await accept_sockets(executor, socket(), take, sink);
  }
}

Task<> EndpointListener::shake_hands(Client client, UniqueFd socket, std::shared_ptr<const ClientSink> sink,
                                     Executor executor, asio::cancellation_signal& cancel) {
  const auto place = handshakes_.take(client.address.address, [&cancel] {
    cancel.emit(asio::cancellation_type::terminal);
    return true;
  });
  if (!place) co_return;
  auto plain = std::make_unique<SocketConnection>(executor, std::move(socket));
  auto secured = co_await tls_accept(std::move(plain), *tls_);
  if (!secured) co_return;
  sink->request(std::make_unique<ConnectionRequest>(sink->key(client), client.name, std::move(*secured)));
}

}  // namespace nsrun
