#include "netstack/tcp/tcp_requests.h"

#include "netstack/stack_core.h"
#include "netstack/tcp/tcp_connection.h"

namespace nsrun {

class TcpRequest final : public Request {
 public:
  TcpRequest(StackCore& core, PendingSyn& held) : core_(core), held_(&held), key_(held.key) {}
  ~TcpRequest() override {
    if (!held_) return;
    held_->request_ = nullptr;
    core_.remove(*held_);
  }

  const FlowKey& key() const override { return key_; }

  std::unique_ptr<Connection> accept() override {
    if (!held_) return nullptr;
    PendingSyn& held = *std::exchange(held_, nullptr);
    held.request_ = nullptr;
    if (held.left_) return core_.remove(held), nullptr;
    auto syn = parse_packet(held.syn_);
    auto fresh = std::make_unique<TcpConversation>(core_, key_);
    TcpConversation& conversation = *fresh;
    if (!syn || !conversation.accept(*syn)) {
      core_.remove(held);
      return nullptr;
    }
    core_.replace(held, std::move(fresh));
    return std::make_unique<TcpConnection>(core_, conversation);
  }

  void refuse(Refusal how) override {
    if (!held_) return;
    PendingSyn& held = *std::exchange(held_, nullptr);
    held.request_ = nullptr;
    if (const auto syn = parse_packet(held.syn_); syn && !held.left_) core_.answer_refusal(how, *syn);
    core_.remove(held);
  }

 private:
  friend class PendingSyn;
  StackCore& core_;
  PendingSyn* held_;  // null once answered, or when the stack is gone
  const FlowKey key_;
};

namespace {
constexpr std::size_t request_cost = 1024;  // bytes: itself, its request and its SYN
}

PendingSyn::PendingSyn(StackCore& core, const FlowKey& key_, const Packet& syn)
    : Conversation(core, key_, request_cost), syn_(beginning_of(syn, tcp_header_size(syn))) {
  ++core_.held_requests;
}

PendingSyn::~PendingSyn() {
  --core_.held_requests;
  if (request_) request_->held_ = nullptr;
}

void PendingSyn::hold(StackCore& core, const FlowKey& key, const Packet& syn, const RequestSink& sink) {
  auto held = std::make_unique<PendingSyn>(core, key, syn);
  auto request = std::make_unique<TcpRequest>(core, *held);
  held->request_ = request.get();
  core.insert(std::move(held));
  sink(std::move(request));
}

void PendingSyn::receive(const Packet& packet, const Offload&, BufferPtr&) {
  // Everything else waits for the answer.
  if (tcp_flags(packet) & TcpFlags::reset) left_ = true;
  if (!is_tcp_request(packet)) return;
  // A retransmission, or the guest asks anew from the same port: the last one is what it waits for.
  left_ = false;
  syn_ = beginning_of(packet, tcp_header_size(packet));
}

}  // namespace nsrun
