// A connection on a kernel socket, for the generic relay.
//
// Most sockets never stay here: the fast path takes them away (release_socket) into an epoll set of its own
// before the first byte. So nothing is registered with Asio's reactor until a read or write has to wait;
// every call tries the system call first. Once registered, `waiter_` borrows the descriptor and `socket_`
// goes on owning it: letting go is forgetting the waiter, which takes the descriptor out of the reactor, and
// moving the socket out.
//
// A task whose socket is always ready never waits and would hold the loop for itself, so after
// `calls_per_turn` system calls it goes to the back of the queue once.

#include "host/flow/socket_connection.h"

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "runtime/cancellation.h"

namespace nsrun {
namespace {

constexpr unsigned calls_per_turn = 16;  // system calls; then other tasks run

constexpr std::size_t max_lost = 16;  // datagrams whose fate is kept for the reader

constexpr auto reading = "the connection broke while reading";
constexpr auto writing = "the connection broke while writing";

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

Error closed_here(const char* doing) { return {doing, errno_code(ECONNABORTED)}; }

}  // namespace

SocketConnection::SocketConnection(Executor executor, UniqueFd socket, Transport transport)
    : executor_(executor), socket_(std::move(socket)), transport_(transport) {}

SocketConnection::~SocketConnection() { forget(); }

Task<> SocketConnection::datagram_ready() {
  co_await give_way();
  for (;;) {
    std::byte nothing;
    if (!socket_ || ::recv(socket_.get(), &nothing, 0, MSG_PEEK) >= 0) co_return;
    if (errno == EINTR) continue;
    if (!would_block(errno)) {
      error_ = errno;  // the kernel tells it once
      co_return;
    }
    if (auto ready = co_await wait(Descriptor::wait_read, reading); !ready) co_return;
  }
}

Task<Result<Chunk>> SocketConnection::read(MutableBytes into) {
  co_await give_way();
  if (!socket_) co_return closed_here(reading);
  if (const int error = std::exchange(error_, 0)) co_return failed(error, reading);
  while (true) {
    const auto n = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (n > 0) co_return Chunk{static_cast<std::size_t>(n), false};
    if (n == 0) co_return Chunk{0, transport_ == Transport::stream};
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return failed(errno, reading);
    if (auto ready = co_await wait(Descriptor::wait_read, reading); !ready) co_return ready.error();
  }
}

Task<Result<void>> SocketConnection::write(Bytes bytes) {
  co_await give_way();
  if (!socket_) co_return closed_here(writing);
  follow_route();
  bool recovered = false;
  do {  // at least once: an empty datagram is sent too
    const auto n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      if (bytes.empty()) break;
    } else if (would_block(errno)) {
      if (auto ready = co_await wait(Descriptor::wait_write, writing); !ready) co_return ready.error();
    } else if (errno != EINTR) {
      int error = errno;
      if (route_ && !std::exchange(recovered, true)) error = route_->recover(socket_.get(), error);
      if (error != 0) co_return failed(error, writing);
    }
  } while (true);
  co_return Result<void>{};
}

// What the kernel keeps about lost datagrams is taken at once: it takes the place of datagrams to come.
Error SocketConnection::failed(int error, const char* doing) {
  if (transport_ == Transport::datagram) {
    lost_.clear();
    while (const auto undelivered = take_undelivered(socket_.get()))
      if (lost_.size() < max_lost) lost_.push_back(*undelivered);
  }
  return {doing, errno_code(error)};
}

std::optional<DeliveryError> SocketConnection::next_undelivered() {
  if (lost_.empty()) return std::nullopt;
  const auto first = lost_.front();
  lost_.erase(lost_.begin());
  return first;
}

void SocketConnection::follow_route() {
  if (transport_ != Transport::datagram) return;
  if (!route_) {
    route_ = std::make_unique<DatagramRoute>(asio::use_service<RouteWatch>(executor_.context()));
    route_->remember_peer(socket_.get());
  }
  route_->follow(socket_.get(), Clock::now());
}

void SocketConnection::finish() {
  if (transport_ == Transport::stream) ::shutdown(socket_.get(), SHUT_WR);
}

void SocketConnection::reset() {
  // Closing with a linger time of 0 sends RST (socket(7)). Elsewhere than on TCP it changes nothing.
  const linger at_once{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  forget();
  socket_.reset();
}

UniqueFd SocketConnection::release_socket() {
  forget();
  return std::move(socket_);
}

Task<> SocketConnection::give_way() {
  if (++calls_ < calls_per_turn) co_return;
  calls_ = 0;
  co_await asio::post(executor_, use_task);
}

Task<Result<void>> SocketConnection::wait(Descriptor::wait_type what, const char* doing) {
  calls_ = 0;
  if (!waiter_) {
    boost::system::error_code failure;
    waiter_.emplace(executor_);
    waiter_->assign(socket_.get(), failure);
    if (failure) {
      waiter_.reset();
      co_return Error{"cannot wait for a socket", failure, "is fs.epoll.max_user_watches exhausted?"};
    }
  }
  const auto [error] = co_await waiter_->async_wait(what, use_result);
  if (!error) co_return Result<void>{};
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  co_return closed_here(doing);
}

void SocketConnection::forget() {
  if (!waiter_) return;
  waiter_->release();
  waiter_.reset();
}

}  // namespace nsrun
