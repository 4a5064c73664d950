// A tunnel's server in a program that has WebSockets of its own: one client is taken, and served to its end.
//
//   example_tunnel_server
//
//   TunnelClient ─► our listener ─► our beast::websocket::stream ─► TunnelServer::attach
//                                                                     └─ listens for the client on 127.0.0.1
//
// Which requests become tunnels, who may, and over what (a path of a web server, TLS, …) is up to the
// program; the library takes over once the WebSocket is open. `listens` hears of each port.

#include <nsrun/host/services/tunnel/tunnel_server.h>
#include <nsrun/host/tunnel/beast_web_socket.h>
#include <nsrun/host/tunnel/frame.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <cstdio>

namespace {

namespace asio = nsrun::asio;
namespace beast = boost::beast;
using nsrun::Task, nsrun::use_task;
using tcp = asio::ip::tcp;

// The tunnel's own wire where the client knows it (RFC 6455 1.9), else JSON.
bool offers_binary(const beast::http::request<beast::http::empty_body>& request) {
  const auto offered = request[beast::http::field::sec_websocket_protocol];
  return std::string_view(offered.data(), offered.size()) == nsrun::tunnel::subprotocol;
}

Task<> serve_one(tcp::acceptor& acceptor, nsrun::TunnelServer& server) {
  beast::websocket::stream<tcp::socket> socket(co_await acceptor.async_accept(use_task));
  beast::flat_buffer buffer;
  beast::http::request<beast::http::empty_body> request;
  co_await beast::http::async_read(socket.next_layer(), buffer, request, use_task);
  const bool binary = offers_binary(request);
  socket.set_option(
      beast::websocket::stream_base::decorator([binary](beast::websocket::response_type& response) {
        if (binary)
          response.set(beast::http::field::sec_websocket_protocol, std::string(nsrun::tunnel::subprotocol));
      }));
  co_await socket.async_accept(request, use_task);
  auto attached = nsrun::attach_web_socket(std::move(socket));
  const auto why = co_await server.attach(std::move(attached), binary, "our one client");
  std::printf("ended: %s\n", why.message().c_str());
}

}  // namespace

int main() {
  asio::io_context context(1);
  nsrun::Events events;
  nsrun::Service service(context, events, "");
  nsrun::TunnelServer::Options options;
  options.listens = [](const void*, std::uint16_t port, const std::string& local_addr) {
    std::printf("port %u leads to %s\n", unsigned{port}, local_addr.c_str());
    std::fflush(stdout);
  };
  nsrun::TunnelServer server(service, std::move(options));
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  std::printf("at %u\n", unsigned{acceptor.local_endpoint().port()});
  std::fflush(stdout);
  asio::co_spawn(context, serve_one(acceptor, server), [](std::exception_ptr) {});
  context.run();
}
