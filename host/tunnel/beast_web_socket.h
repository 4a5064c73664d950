#pragma once

#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <utility>

#include "host/tunnel/tcp_info.h"
#include "host/tunnel/web_socket.h"

namespace nsrun {

// The kernel socket that carries a stream of this kind, or -1; overload it for your own.
template <class Socket>
int carrier_socket_of(Socket& socket) {
  if constexpr (requires { socket.native_handle(); })
    return socket.native_handle();
  else
    return -1;
}

// What ends a stream of this kind at once; overload it for your own.
template <class Socket>
requires requires(Socket& socket, boost::system::error_code& error) { socket.close(error); }
void abort_stream(Socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

// A WebSocket of Beast's, after its handshake. `Stream` is boost::beast::websocket::stream<…> of a socket, of
// TLS, of anything.
template <class Stream>
class BeastWebSocket final : public WebSocket {
 public:
  explicit BeastWebSocket(Stream stream) : stream_(std::move(stream)) {
    stream_.auto_fragment(false);
    stream_.write_buffer_bytes(write_buffer);
    stream_.read_message_max(0);  // the wire has limits of its own
    stream_.control_callback([this](boost::beast::websocket::frame_type type, boost::beast::string_view) {
      ++control_frames_;
      if (type == boost::beast::websocket::frame_type::close) end_after_close();
    });
  }

  Task<Result<Part>> read(MutableBytes into) override {
    const auto [error, size] =
        co_await stream_.async_read_some(asio::buffer(into.data(), into.size()), use_result);
    if (error == boost::beast::websocket::error::closed || (error && *close_came_)) co_return closed();
    if (error) co_return Error{"the tunnel's connection broke", error};
    co_return Part{size, stream_.is_message_done()};
  }

  Task<Result<void>> write(Bytes message, bool binary) override {
    stream_.binary(binary);
    const auto [error, size] =
        co_await stream_.async_write(asio::buffer(message.data(), message.size()), use_result);
    if (error) co_return Error{"the tunnel's connection broke", error};
    co_return Result<void>{};
  }

  Life life() override {
    Life life;
    const auto tcp = tcp_info_of(carrier_socket_of(boost::beast::get_lowest_layer(stream_)));
    life.acknowledged = tcp.acknowledged;
    life.unacknowledged = tcp.unacknowledged;
    life.control_frames = control_frames_;
    return life;
  }

  TcpPath path() override { return tcp_path(carrier_socket_of(boost::beast::get_lowest_layer(stream_))); }

  Task<Result<void>> ping() override {
    const auto [error] = co_await stream_.async_ping({}, use_result);
    if (error) co_return Error{"the tunnel's connection broke", error};
    co_return Result<void>{};
  }

  Task<> close(std::uint16_t code, std::string reason) override {
    boost::beast::websocket::close_reason said(code);
    said.reason = reason.substr(0, max_reason);
    co_await stream_.async_close(said, use_result);
  }

  void abort() override {
    // Beast's clock for the answer to a close runs on where the close was cancelled.
    using Limits = boost::beast::websocket::stream_base;
    stream_.set_option(Limits::timeout{Limits::none(), Limits::none(), false});
    abort_stream(boost::beast::get_lowest_layer(stream_));
  }

 private:
  static constexpr std::size_t write_buffer = 256 * 1024;  // bytes: masked by a client, and sent, at once
  static constexpr std::size_t max_reason = 120;           // bytes: RFC 6455 5.5 leaves 123
  // For the answer to a close to be sent, and the far side to end its connection: then we do. Beast waits for
  // that end for as long as it takes.
  static constexpr auto close_limit = 200ms;

  void end_after_close() {
    *close_came_ = true;
    close_timer_.expires_after(close_limit);
    close_timer_.async_wait([this, alive = std::weak_ptr(close_came_)](boost::system::error_code error) {
      if (!error && !alive.expired()) abort();
    });
  }

  Error closed() const {
    const auto& said = stream_.reason();
    std::string what = "the far side closed the tunnel";
    if (said.code != 0) what += " (" + std::to_string(said.code) + ")";
    if (!said.reason.empty()) what += ": " + std::string(said.reason.data(), said.reason.size());
    return {what, asio::error::eof};
  }

  Stream stream_;
  std::uint64_t control_frames_ = 0;
  const std::shared_ptr<bool> close_came_ = std::make_shared<bool>(false);
  asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, typename Stream::executor_type> close_timer_{
      stream_.get_executor()};
};

// For the WebSocket of a program of one's own.
template <class Stream>
std::unique_ptr<WebSocket> attach_web_socket(Stream stream) {
  return std::make_unique<BeastWebSocket<Stream>>(std::move(stream));
}

}  // namespace nsrun
