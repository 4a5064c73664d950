#include "netstack/tcp/tcp_connection.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "netstack/stack_core.h"
#include "netstack/tcp/tcp_splice.h"

namespace nsrun {

TcpConnection::TcpConnection(StackCore& core, TcpConversation& conversation)
    : core_(core), conversation_(&conversation), readable_(core.executor()), writable_(core.executor()) {
  conversation.set_user(this);
}

TcpConnection::~TcpConnection() {
  if (conversation_) conversation_->close();
}

void TcpConnection::turn() {
  was_reset_ |= conversation_->was_reset();
  readable_.raise();
  writable_.raise();
}

void TcpConnection::conversation_gone() {
  conversation_ = nullptr;
  readable_.raise();
  writable_.raise();
}

Error TcpConnection::broken(const char* doing) const {
  return {doing, errno_code(was_reset_ ? ECONNRESET : EPIPE)};
}

Task<bool> TcpConnection::established() {
  while (conversation_ && conversation_->alive() && !conversation_->is_established())
    co_await readable_.wait();
  co_return conversation_ && conversation_->is_established();
}

Task<Result<Chunk>> TcpConnection::read(MutableBytes into) {
  for (;;) {
    if (!conversation_) co_return broken("cannot read from the guest");
    if (conversation_->inbox_bytes() > 0) break;
    if (conversation_->guest_has_finished()) co_return Chunk{0, true};
    if (!conversation_->alive()) co_return broken("cannot read from the guest");
    co_await readable_.wait();
  }
  std::array<iovec, 64> pieces;
  const int count = conversation_->peek(pieces.data(), static_cast<int>(pieces.size()));
  std::size_t size = 0;
  for (int i = 0; i < count && size < into.size(); ++i) {
    const std::size_t part = std::min(pieces[i].iov_len, into.size() - size);
    std::memcpy(into.data() + size, pieces[i].iov_base, part);
    size += part;
  }
  conversation_->consume(size);
  co_return Chunk{size, false};
}

Task<Result<void>> TcpConnection::write(Bytes bytes) {
  while (!bytes.empty()) {
    if (!conversation_ || !conversation_->alive() || conversation_->has_finished())
      co_return broken("cannot write to the guest");
    const std::size_t room = conversation_->room();
    const auto block = room > 0 ? conversation_->block() : MutableBytes{};
    if (block.empty()) {
      co_await writable_.wait();
      continue;
    }
    const std::size_t size = std::min({room, block.size(), bytes.size()});
    std::memcpy(block.data(), bytes.data(), size);
    bytes = bytes.subspan(size);
    using Next = TcpConversation::Next;
    conversation_->send_block(block.first(size), bytes.empty() ? Next::nothing : Next::more);
  }
  co_return Result<void>{};
}

void TcpConnection::finish() {
  if (conversation_) conversation_->finish();
}

void TcpConnection::reset() {
  if (!conversation_) return;
  std::exchange(conversation_, nullptr)->end();
  readable_.raise();
  writable_.raise();
}

bool TcpConnection::carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) {
  if (!conversation_) return false;
  TcpSplice::start(core_, *std::exchange(conversation_, nullptr), std::move(far), std::move(record),
                   far_asked);
  return true;
}

}  // namespace nsrun
