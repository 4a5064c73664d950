#include "netstack/stack.h"

#include "netstack/datagrams/datagram_connection.h"
#include "netstack/stack_core.h"
#include "netstack/tcp/tcp_connection.h"

namespace nsrun {
namespace {

std::unique_ptr<Connection> begin_datagrams(StackCore& core, const FlowKey& key) {
  auto fresh = std::make_unique<DatagramConversation>(core, key);
  auto& conversation = *fresh;
  core.insert(std::move(fresh));
  return std::make_unique<DatagramConnection>(core, conversation);
}

}  // namespace

StackOptions StackOptions::share_of(std::size_t stacks) const {
  StackOptions share = *this;
  for (std::size_t* limit : {&share.max_pending_syns, &share.max_tcp_flows, &share.max_datagram_flows,
                             &share.max_buffers, &share.ample_bytes})
    *limit /= stacks;
  return share;
}

Stack::Stack(asio::io_context& context, Device& device, const StackOptions& options, RequestSink sink,
             Events& events)
    : core_(std::make_unique<StackCore>(context, device, options, std::move(sink), events)) {}

Stack::~Stack() = default;

Task<> Stack::run() { co_await either(core_->run(), core_->run_clock()); }

Task<Result<std::unique_ptr<Connection>>> Stack::connect(Protocol protocol, Endpoint source, Endpoint guest) {
  const FlowKey key{protocol, guest, source};
  const auto doing = [&] { return "cannot connect to " + guest.to_string() + " in the sandbox"; };
  if (!core_->may_begin()) co_return Error{doing(), errno_code(ENOBUFS)};
  if (!core_->make_way(key)) co_return Error{doing(), errno_code(EADDRINUSE)};
  if (protocol == Protocol::udp) co_return begin_datagrams(*core_, key);
  if (protocol != Protocol::tcp) co_return Error{doing(), errno_code(EPROTONOSUPPORT)};

  auto fresh = std::make_unique<TcpConversation>(*core_, key);
  auto& conversation = *fresh;
  core_->insert(std::move(fresh));
  if (!conversation.connect()) {
    conversation.end();
    co_return Error{doing(), errno_code(ENOMEM)};
  }
  auto connection = std::make_unique<TcpConnection>(*core_, conversation);
  if (co_await connection->established()) co_return std::unique_ptr<Connection>(std::move(connection));
  co_return Error{doing(), errno_code(connection->was_reset() ? ECONNREFUSED : ETIMEDOUT)};
}

std::unique_ptr<Connection> Stack::answer(const FlowKey& key, Bytes first) {
  if (core_->has(key) || !core_->may_begin()) return nullptr;
  auto connection = begin_datagrams(*core_, key);
  deliver(key, first);
  return connection;
}

bool Stack::deliver(const FlowKey& key, Bytes datagram) {
  auto* const conversation = dynamic_cast<DatagramConversation*>(core_->find(key));
  if (!conversation) return false;
  const iovec part{const_cast<std::byte*>(datagram.data()), datagram.size()};
  conversation->send({&part, 1});
  return true;
}

bool Stack::is_free(const FlowKey& key) const { return !core_->has(key); }

void Stack::expect(const FlowKey& key) { core_->expect(key); }

void Stack::expect_no_more(const FlowKey& key) { core_->expect_no_more(key); }

std::size_t Stack::flows() const { return core_->size(); }

std::size_t Stack::unfinished() { return core_->unfinished(); }

}  // namespace nsrun
