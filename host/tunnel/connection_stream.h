#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/connection.h"

namespace nsrun {

// A stream connection as what Asio and Beast call an AsyncStream.
class ConnectionStream {
 public:
  using executor_type = Executor;

  // `first`: bytes that were read of it already.
  ConnectionStream(Executor executor, std::unique_ptr<Connection> connection, std::string first = {})
      : executor_(executor), connection_(std::move(connection)), first_(std::move(first)) {}

  executor_type get_executor() const { return executor_; }
  Connection& connection() { return *connection_; }
  // Its end; the stream is done for.
  std::unique_ptr<Connection> release() { return std::move(connection_); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    const asio::mutable_buffer into = first_of<asio::mutable_buffer>(buffers);
    return begin(std::forward<Token>(token), [this, into] {
      return read({static_cast<std::byte*>(into.data()), into.size()});
    });
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    std::vector<Bytes> pieces;
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
      const asio::const_buffer piece = *at;
      if (piece.size() > 0) pieces.emplace_back(static_cast<const std::byte*>(piece.data()), piece.size());
    }
    return begin(std::forward<Token>(token),
                 [this, pieces = std::move(pieces)]() mutable { return write(std::move(pieces)); });
  }

 private:
  using Done = std::pair<boost::system::error_code, std::size_t>;
  Task<Done> read(MutableBytes into);
  Task<Done> write(std::vector<Bytes> pieces);

  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& buffers) {
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at)
      if (Buffer(*at).size() > 0) return *at;
    return {};
  }

  template <class Token, class Make>
  auto begin(Token&& token, Make make) {
    return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, Make made) {
          const auto slot = asio::get_associated_cancellation_slot(handler);
          auto done = [handler = std::move(handler)](std::exception_ptr failure, Done result) mutable {
            if (failure) result = {asio::error::operation_aborted, 0};
            std::move(handler)(result.first, result.second);
          };
          asio::co_spawn(executor_, made(), asio::bind_cancellation_slot(slot, std::move(done)));
        },
        token, std::move(make));
  }

  Executor executor_;
  std::unique_ptr<Connection> connection_;
  std::string first_;
};

// What Beast asks of a stream that is to be torn down, and ours of one that is to end at once.
void teardown(boost::beast::role_type role, ConnectionStream& stream, boost::system::error_code& error);
template <class Handler>
void async_teardown(boost::beast::role_type role, ConnectionStream& stream, Handler&& handler) {
  boost::system::error_code error;
  teardown(role, stream, error);
  asio::post(stream.get_executor(),
             [handler = std::forward<Handler>(handler), error]() mutable { handler(error); });
}
void beast_close_socket(ConnectionStream& stream);
void abort_stream(ConnectionStream& stream);
inline int carrier_socket_of(ConnectionStream& stream) { return stream.connection().carrier_socket(); }

}  // namespace nsrun
