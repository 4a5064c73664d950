#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "host/tunnel/beast_web_socket.h"
#include "host/tunnel/connection_stream.h"

// What Beast's WebSocket runs on: a TCP socket as it is, or any other connection.

namespace nsrun {

using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
template <class Stream>
using WebSocketOn = boost::beast::websocket::stream<Stream>;

// The socket of a connection that is one of TCP's; nothing where it is none, or where bytes were read of it.
std::optional<TcpSocket> tcp_socket_of(Executor executor, Connection& connection, const std::string& early);

// The tunnel looks after silence itself.
template <class Stream>
void set_limits(WebSocketOn<Stream>& socket) {
  socket.set_option(boost::beast::websocket::stream_base::timeout{
      std::chrono::seconds(30), boost::beast::websocket::stream_base::none(), false});
}

}  // namespace nsrun
