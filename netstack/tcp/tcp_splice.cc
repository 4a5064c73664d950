#include "netstack/tcp/tcp_splice.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "netstack/stack_core.h"

namespace nsrun {
namespace {

constexpr int max_pieces = 64;                 // of one sendmsg
constexpr int max_reads = 4;                   // of one flow in one batch: its neighbours wait for the next
constexpr std::size_t min_room = 4096;         // bytes: below it we wait for an acknowledgement
constexpr std::size_t large_read = 16'384;     // bytes: after such a read, short or not, more is likely
constexpr std::size_t worth_waiting = 49'152;  // bytes: after such a read a full segment will form

}  // namespace

TcpSplice::TcpSplice(StackCore& core, TcpConversation& conversation, UniqueFd socket,
                     std::unique_ptr<FlowRecord> record, bool far_asked)
    : core_(core),
      conversation_(conversation),
      socket_(std::move(socket)),
      record_(std::move(record)),
      far_asked_(far_asked),
      socket_ended_(conversation.has_finished()) {
  record_->carried_by(this);
}

// The splice belongs to its conversation: conversation_gone() ends it.
void TcpSplice::start(StackCore& core, TcpConversation& conversation, UniqueFd socket,
                      std::unique_ptr<FlowRecord> record, bool far_asked) {
  auto* splice = new TcpSplice(core, conversation, std::move(socket), std::move(record), far_asked);
  conversation.set_user(splice);
  // Without a place in the set (no memory) the socket's next event would be missed: the flow goes at once.
  if (!core.poller().add(splice->socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *splice))
    conversation.abort();
  core.touch(conversation);
}

void TcpSplice::ready(std::uint32_t events) {
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable_ = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up_ = true;
  core_.touch(conversation_);
}

void TcpSplice::turn() {
  if (conversation_.was_reset()) {
    reset_socket();
    return end(FlowEnd::reset_by_source);
  }
  if (!to_socket() || !to_guest()) {
    conversation_.abort();
    return end(FlowEnd::reset_by_target);
  }
  // What the guest sent before it closed may still be on its way out when lwIP is done with the connection.
  if (!conversation_.alive() && conversation_.inbox_bytes() == 0) {
    const bool whole = shut_ && socket_ended_;
    if (!whole) reset_socket();
    return end(whole ? FlowEnd::closed : FlowEnd::failed);
  }
}

bool TcpSplice::to_socket() {
  std::size_t total = 0;
  bool broken = false;
  while (conversation_.inbox_bytes() > total && writable_ && !broken) {
    // What was sent in this turn is consumed once, at its end; a second round is rare.
    std::array<iovec, max_pieces> pieces;
    if (total > 0) conversation_.consume(std::exchange(total, 0));
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = static_cast<std::size_t>(conversation_.peek(pieces.data(), max_pieces));
    std::size_t offered = 0;
    for (std::size_t i = 0; i < message.msg_iovlen; ++i) offered += pieces[i].iov_len;
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      writable_ = false;
      broken = errno != EAGAIN;
      break;
    }
    if (static_cast<std::size_t>(sent) < offered) writable_ = false;
    total += static_cast<std::size_t>(sent);
    moved_to_socket(static_cast<std::size_t>(sent));
  }
  if (total > 0) conversation_.consume(total);
  if (broken) return false;
  if (conversation_.guest_has_finished() && !shut_) {
    shut_ = true;
    ::shutdown(socket_.get(), SHUT_WR);
  }
  return true;
}

bool TcpSplice::to_guest() {
  for (int reads = 0; readable_ && !socket_ended_; ++reads) {
    const std::size_t room = conversation_.room();
    if (room < min_room) break;
    if (reads == max_reads) {
      core_.touch(conversation_);
      break;
    }
    const auto block = conversation_.block();
    if (block.empty()) break;
    const auto into = block.first(std::min(room, block.size()));
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      readable_ = false;
      break;
    }
    if (got < 0) return false;
    if (got == 0) {
      socket_ended_ = true;
      break;
    }
    const auto size = static_cast<std::size_t>(got);
    using Next = TcpConversation::Next;
    Next next = size >= worth_waiting ? Next::more : Next::nothing;
    if (size < into.size() && size < large_read) {
      if (!hung_up_)
        readable_ = false;
      else
        look_ahead();
      if (socket_ended_) next = Next::end;
    }
    moved_to_guest(size);
    conversation_.send_block(into.first(size), next);
    if (socket_broke_) return false;
    if (!conversation_.alive()) break;
  }
  if (socket_ended_ && !conversation_.has_finished() && conversation_.is_established())
    conversation_.finish();
  return true;
}

// Whether nothing but the end is left to read: then it goes with what was read, in one segment. An error is
// told once, and is an end to whoever asks again (sock_error in the kernel's include/net/sock.h).
void TcpSplice::look_ahead() {
  std::byte one;
  const ssize_t got = ::recv(socket_.get(), &one, 1, MSG_DONTWAIT | MSG_PEEK);
  socket_ended_ = got == 0;
  socket_broke_ = got < 0 && errno != EAGAIN && errno != EINTR;
}

void TcpSplice::moved_to_socket(std::size_t bytes) {
  far_asked_ ? record_->moved_down(bytes) : record_->moved_up(bytes);
}
void TcpSplice::moved_to_guest(std::size_t bytes) {
  far_asked_ ? record_->moved_up(bytes) : record_->moved_down(bytes);
}

void TcpSplice::reset_socket() {
  const linger at_once{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void TcpSplice::end(FlowEnd how) {
  if (far_asked_ && how == FlowEnd::reset_by_source)
    how = FlowEnd::reset_by_target;
  else if (far_asked_ && how == FlowEnd::reset_by_target)
    how = FlowEnd::reset_by_source;
  record_->ended(how);
  conversation_.end();  // detaches us
  leave();
}

void TcpSplice::cut() {
  reset_socket();
  end(FlowEnd::policy);
}

void TcpSplice::conversation_gone() {
  if (!shut_) reset_socket();  // what came so far must not look like all there was
  leave();
}

// Closing alone does not take a socket out of an epoll set while a forked process still has it (epoll(7)).
void TcpSplice::leave() {
  core_.poller().remove(socket_.get());
  delete this;
}

}  // namespace nsrun
