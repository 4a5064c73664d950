#include <boost/beast/core/string.hpp>
#include <boost/beast/websocket/error.hpp>

#include "host/tunnel/frame.h"
#include "host/tunnel/upgrade.h"
#include "host/tunnel/upgrade_streams.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

Error declined(const websocket::response_type& response) {
  const auto status = response.result_int();
  const std::string reason(response.reason().data(), response.reason().size());
  Error error{"the tunnel's server answers " + std::to_string(status) + " " + reason,
              errno_code(ECONNREFUSED), "is it a tunnel, and its address right?"};
  if (status == 401 || status == 403) {
    error.code = errno_code(EACCES);
    error.advice = "is the token right (--token-file)?";
  }
  return error;
}

template <class Stream>
Task<Result<TunnelSocket>> upgrade(Stream stream, UpgradeRequest request) {
  WebSocketOn<Stream> socket(std::move(stream));
  set_limits(socket);
  socket.set_option(websocket::stream_base::decorator([&request](websocket::request_type& asked) {
    if (request.offers_binary)
      asked.set(http::field::sec_websocket_protocol, std::string(tunnel::subprotocol));
    for (const auto& [name, value] : request.headers) {
      if (boost::beast::iequals(name, "Host"))
        asked.set(name, value);
      else
        asked.insert(name, value);
    }
  }));
  websocket::response_type response;
  const auto [error] = co_await socket.async_handshake(response, request.host, request.path, use_result);
  if (error == websocket::error::upgrade_declined) co_return declined(response);
  if (error) co_return Error{"the tunnel's server did not open a WebSocket", error, "is it a tunnel?"};
  const auto chosen = response[http::field::sec_websocket_protocol];
  const bool binary = std::string_view(chosen.data(), chosen.size()) == tunnel::subprotocol;
  // The decorator goes with our arguments.
  socket.set_option(websocket::stream_base::decorator([](websocket::request_type&) {}));
  co_return TunnelSocket{attach_web_socket(std::move(socket)), binary};
}

}  // namespace

Task<Result<TunnelSocket>> ask_for_tunnel(std::unique_ptr<Connection> server, UpgradeRequest request) {
  const Executor executor = co_await asio::this_coro::executor;
  if (auto socket = tcp_socket_of(executor, *server, {}))
    co_return co_await upgrade(std::move(*socket), std::move(request));
  ConnectionStream stream(executor, std::move(server));
  co_return co_await upgrade(std::move(stream), std::move(request));
}

}  // namespace nsrun
