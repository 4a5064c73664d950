#include "netstack/datagrams/datagram_connection.h"

#include <algorithm>
#include <cstring>

#include "netstack/datagrams/udp_splice.h"
#include "netstack/stack_core.h"

namespace nsrun {

DatagramConnection::DatagramConnection(StackCore& core, DatagramConversation& conversation)
    : core_(core), conversation_(&conversation), readable_(core.executor()) {
  conversation.connection_ = this;
}

DatagramConnection::~DatagramConnection() {
  if (!conversation_) return;
  conversation_->connection_ = nullptr;
  core_.remove(*conversation_);
}

void DatagramConnection::turn() {
  if (!conversation_->waiting_.empty()) readable_.raise();
}

void DatagramConnection::conversation_gone() {
  conversation_ = nullptr;
  readable_.raise();
}

Task<> DatagramConnection::datagram_ready() {
  while (conversation_ && conversation_->waiting_.empty()) co_await readable_.wait();
}

Task<Result<Chunk>> DatagramConnection::read(MutableBytes into) {
  co_await datagram_ready();
  if (!conversation_) co_return Chunk{0, true};
  const auto datagram = conversation_->dequeue();
  const std::size_t size = std::min(datagram.size(), into.size());
  if (size > 0) std::memcpy(into.data(), datagram.data(), size);
  co_return Chunk{size, false};
}

Task<Result<void>> DatagramConnection::write(Bytes datagram) {
  if (!conversation_) co_return Error{"cannot write to the guest", errno_code(EPIPE)};
  if (conversation_->key.protocol == Protocol::icmp) {
    std::vector<std::byte> message(datagram.begin(), datagram.end());
    conversation_->send_echo(message);
  } else {
    const iovec part{const_cast<std::byte*>(datagram.data()), datagram.size()};
    conversation_->send({&part, 1});
  }
  co_return Result<void>{};
}

void DatagramConnection::reset() {
  if (conversation_) conversation_->send_error(IcmpError::port_unreachable);
}

bool DatagramConnection::carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) {
  if (!conversation_ || conversation_->key.protocol != Protocol::udp || !UdpSplice::fits(far.get()))
    return false;
  auto& conversation = *std::exchange(conversation_, nullptr);
  conversation.connection_ = nullptr;
  conversation.splice_ =
      std::make_unique<UdpSplice>(core_, conversation, std::move(far), std::move(record), far_asked);
  // A socket that nobody watches would never be read: the flow goes at once, and its next datagram begins
  // another.
  if (!conversation.splice_->begin())
    conversation.end(FlowEnd::failed);
  else
    core_.touch(conversation);
  return true;
}

}  // namespace nsrun
