#include "host/inject/injected_request.h"

#include <sys/socket.h>

#include <utility>

#include "host/inject/shared_descriptors.h"

namespace nsrun {
namespace {

// As the ICMP error that the device would have given is read by the guest's kernel (net/ipv4/icmp.c,
// icmp_err_convert; net/ipv6/icmp.c, tab_unreach).
int errno_for(Refusal how, bool v4) {
  switch (how) {
    case Refusal::host_unreachable:
      return EHOSTUNREACH;
    case Refusal::network_unreachable:
      return ENETUNREACH;
    case Refusal::prohibited:
      return v4 ? EHOSTUNREACH : EACCES;
    case Refusal::reset:
    case Refusal::drop:
      break;
  }
  return ECONNREFUSED;
}

Endpoint name_of(int socket, int (*call)(int, sockaddr*, socklen_t*)) {
  SocketAddress address;
  if (call(socket, address.get(), &address.length) < 0) return {};
  return address.endpoint();
}

// To a port that the kernel chooses now rather than when it connects: so it is known before the SYN is sent.
// Such a port is not the socket's for good, and the address is left open.
void bind_anywhere(int socket) {
  SocketAddress own;
  if (::getsockname(socket, own.get(), &own.length) == 0) ::bind(socket, own.get(), own.length);
}

int family_of(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family;
}

}  // namespace

InjectedRequest::InjectedRequest(Injector& injector, GuestConnect connect, FlowKey key)
    : injector_(injector),
      connect_(std::move(connect)),
      inode_(inode_of(connect_.socket.get())),
      key_(std::move(key)),
      wants_mapped_(key_.target.address.is_v4() && family_of(connect_.socket.get()) == AF_INET6),
      open_(injector.open_call()),
      came_(injector.executor()),
      ended_(std::make_shared<Signal>(injector.executor())) {
  injector_.asked_[inode_] = this;
}

InjectedRequest::~InjectedRequest() {
  ended_->raise();
  if (!over_ && !moved_) injector_.listener_.answer(connect_.call.id, ECONNABORTED);
  forget();
}

void InjectedRequest::forget() {
  if (const auto at = injector_.asked_.find(inode_); at != injector_.asked_.end() && at->second == this)
    injector_.asked_.erase(at);
  if (const auto at = injector_.expected_.find(moved_key_);
      moved_ && at != injector_.expected_.end() && at->second == this) {
    injector_.expected_.erase(at);
    injector_.options_.stack.expect_no_more(moved_key_);
  }
}

// The guest must see the address that it asked for when it asks whom it talks to; the host's loopback, which
// it asked for as the gateway, is all it may see besides. And a socket of the version it made: an IPv6 socket
// answers with IPv6 addresses even where it speaks IPv4. Only a socket of our own network is known for what
// it is when the guest uses it again.
bool InjectedRequest::may_take(const Connection& far) const {
  const int socket = far.socket();
  if (socket < 0 || far.transport() != Transport::stream) return false;
  const Endpoint peer = name_of(socket, ::getpeername);
  const bool as_asked = peer == key_.target;
  const bool is_gateway = injector_.options_.network.is_gateway(key_.target.address) &&
                          peer.address.is_loopback() && peer.port == key_.target.port;
  const bool is_ours = facts_of(socket).network == injector_.own_network_;
  return is_ours && (as_asked || is_gateway) && family_of(socket) == family_of(connect_.socket.get()) &&
         injector_.listener_.waits(connect_.call.id);
}

std::optional<Task<>> InjectedRequest::prepare(const Connection& far, bool inspected) {
  if (successor_ || (!moved_ && !inspected && may_take(far))) return std::nullopt;
  return successor_comes();
}

Task<> InjectedRequest::successor_comes() {
  const bool interrupted = !injector_.listener_.waits(connect_.call.id);
  const bool left = interrupted && !still_names(connect_.call.thread, connect_.call.descriptor, inode_);
  if (!moved_ && !left) move_to_device(false);
  if (moved_ && !successor_ && !over_) co_await either(came_.wait(), sleep_for(Injector::longest_way));
}

// Whose call has ended (interrupted by a signal) expects the connection to go on being made: connect(2),
// EINTR.
void InjectedRequest::move_to_device(bool call_ends) {
  moved_ = true;
  bind_anywhere(connect_.socket.get());
  const auto& network = injector_.options_.network;
  const auto& guest = key_.target.address.is_v4() ? network.guest4 : network.guest6;
  const auto port = name_of(connect_.socket.get(), ::getsockname).port;
  moved_key_ = {Protocol::tcp, {guest, port}, key_.target};
  injector_.options_.stack.expect(moved_key_);
  injector_.expected_[moved_key_] = this;
  const int error = connect_now(connect_);
  if (error != 0 && !is_under_way(error)) {
    over_ = true;
    injector_.listener_.answer(connect_.call.id, error);
    return;
  }
  if (connect_.non_blocking || call_ends)
    injector_.listener_.answer(connect_.call.id, error);
  else
    injector_.tasks_.spawn(injector_.see_through(std::move(connect_), injector_.open_call()));
}

void InjectedRequest::continued_by(std::unique_ptr<Request> request) {
  successor_ = std::move(request);
  came_.raise();
}

bool InjectedRequest::resumed_by(GuestConnect& again) {
  if (moved_ || again.address.endpoint() != connect_.address.endpoint()) return false;
  if (injector_.listener_.waits(connect_.call.id)) return false;
  connect_ = std::move(again);
  return true;
}

std::unique_ptr<Connection> InjectedRequest::accept() {
  over_ = true;
  if (successor_) return successor_->accept();
  if (moved_ || !injector_.listener_.waits(connect_.call.id)) return nullptr;
  forget();
  return std::make_unique<InjectedConnection>(injector_, std::move(connect_));
}

void InjectedRequest::refuse(Refusal how) {
  if (over_) return;
  // Silence is the device's: the guest's kernel asks again and gives up by itself.
  if (how == Refusal::drop && !moved_) move_to_device(false);
  over_ = true;
  if (successor_) return successor_->refuse(how);
  if (!moved_) {
    injector_.listener_.answer(connect_.call.id, errno_for(how, key_.target.address.is_v4()));
    return;
  }
  injector_.decide(moved_key_, how);
}

InjectedConnection::~InjectedConnection() {
  if (!done_) injector_.listener_.answer(connect_.call.id, ECONNABORTED);
}

Task<Result<Chunk>> InjectedConnection::read(MutableBytes) {
  co_return Error{"an injected connection carries nothing here", errno_code(ENOTCONN)};
}

Task<Result<void>> InjectedConnection::write(Bytes) {
  co_return Error{"an injected connection carries nothing here", errno_code(ENOTCONN)};
}

bool InjectedConnection::carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool) {
  done_ = true;
  const bool injected = injector_.inject(connect_, far.get());
  record->ended(injected ? FlowEnd::injected : FlowEnd::reset_by_source);
  record.reset();
  far.reset();
  return true;
}

}  // namespace nsrun
