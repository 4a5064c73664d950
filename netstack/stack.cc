#include "netstack/stack.h"

#include "netstack/datagrams/datagram_connection.h"
#include "netstack/stack_core.h"
#include "netstack/tcp/tcp_connection.h"

namespace nsrun {

StackOptions StackOptions::share_of(std::size_t stacks) const {
  StackOptions share = *this;
  for (std::size_t* limit : {&share.most_held, &share.most_tcp_flows, &share.most_datagram_flows,
                             &share.most_buffers, &share.ample_bytes})
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
  if (core_->has(key)) co_return Error{doing(), errno_code(EADDRINUSE)};
  if (protocol == Protocol::udp) {
    auto fresh = std::make_unique<DatagramConversation>(*core_, key);
    auto& conversation = *fresh;
    core_->insert(std::move(fresh));
    co_return std::make_unique<DatagramConnection>(*core_, conversation);
  }
  if (protocol != Protocol::tcp) co_return Error{doing(), errno_code(EPROTONOSUPPORT)};

  auto fresh = std::make_unique<TcpConversation>(*core_, key);
  auto& conversation = *fresh;
  core_->insert(std::move(fresh));
  if (!conversation.connect()) {
    conversation.end();
    co_return Error{doing(), errno_code(ENOMEM)};
  }
  auto connection = std::make_unique<TcpConnection>(*core_, conversation);
  const auto began = Clock::now();
  if (co_await connection->established()) co_return std::unique_ptr<Connection>(std::move(connection));
  // lwIP does not say why it gave up; a refusal comes at once.
  co_return Error{doing(), errno_code(Clock::now() - began < 1s ? ECONNREFUSED : ETIMEDOUT)};
}

void Stack::expect(const FlowKey& key) { core_->expect(key); }

void Stack::expect_no_more(const FlowKey& key) { core_->expect_no_more(key); }

std::size_t Stack::flows() const { return core_->size(); }

std::size_t Stack::unfinished() { return core_->unfinished(); }

}  // namespace nsrun
