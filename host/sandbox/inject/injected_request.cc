#include "host/sandbox/inject/injected_request.h"

#include <sys/socket.h>

#include <utility>

#include "host/sandbox/inject/shared_descriptors.h"

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
      family_(family_of(connect_.socket.get())),
      key_(std::move(key)),
      open_(injector.open_call()),
      wants_mapped_(key_.target.address.is_v4() && family_ == AF_INET6),
      came_(injector.executor()),
      ended_(std::make_shared<Signal>(injector.executor())) {
  injector_.asked_[inode_] = this;
}

InjectedRequest::~InjectedRequest() {
  ended_->raise();
  if (state_ == State::asked) injector_.listener_.answer(connect_.call.id, ECONNABORTED);
  forget();
}

void InjectedRequest::forget() {
  if (const auto at = injector_.asked_.find(inode_); at != injector_.asked_.end() && at->second == this)
    injector_.asked_.erase(at);
  if (const auto at = injector_.expected_.find(moved_key_);
      at != injector_.expected_.end() && at->second == this) {
    injector_.expected_.erase(at);
    injector_.options_.moved.expect_no_more(moved_key_);
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
  return is_ours && (as_asked || is_gateway) && family_of(socket) == family_ && waits();
}

std::optional<Task<>> InjectedRequest::prepare(const Connection& far, bool inspected) {
  if (successor_ || state_ == State::over) return std::nullopt;
  if (state_ == State::asked && !inspected && may_take(far)) return std::nullopt;
  return successor_comes();
}

Task<> InjectedRequest::successor_comes() {
  if (state_ == State::asked) {
    if (has_left())
      leave();
    else
      move_to_device(false);
  }
  if (state_ == State::moved && !successor_) co_await either(came_.wait(), sleep_for(max_way));
}

// Whose call has ended (interrupted by a signal) expects the connection to go on being made: connect(2),
// EINTR.
void InjectedRequest::move_to_device(bool call_ends) {
  injector_.asked_.erase(inode_);
  const int socket = connect_.socket.get();
  const auto port = injector_.options_.presence.away([socket] {
    bind_anywhere(socket);
    return name_of(socket, ::getsockname).port;
  });
  const auto& network = injector_.options_.network;
  const auto& guest = key_.target.address.is_v4() ? network.guest4 : network.guest6;
  moved_key_ = {Protocol::tcp, {guest, port}, key_.target};
  state_ = State::moved;
  injector_.expected_[moved_key_] = this;
  unattended_.emplace(injector_.unattended_dial());
  injector_.tasks_.spawn(
      injector_.go_through_device(std::move(connect_), moved_key_, call_ends, std::move(*open_)));
}

bool InjectedRequest::has_left() {
  if (waits()) return false;
  const auto& call = connect_.call;
  return !injector_.options_.presence.away([&] { return still_names(call.thread, call.descriptor, inode_); });
}

// The dial goes on to its end, and nothing of the caller's is held for it.
void InjectedRequest::leave() {
  state_ = State::over;
  forget();
  { const GuestConnect left = std::move(connect_); }
  unattended_.emplace(injector_.unattended_dial());
  open_.reset();
}

void InjectedRequest::look_after_caller() {
  if (waits())
    injector_.let_signal_through(connect_);
  else if (has_left())
    leave();
  else
    move_to_device(true);
}

void InjectedRequest::continued_by(MovedRequest syn) {
  successor_.emplace(std::move(syn));
  came_.raise();
}

bool InjectedRequest::resumed_by(GuestConnect& again) {
  if (again.address.endpoint() != connect_.address.endpoint() || waits()) return false;
  connect_ = std::move(again);
  return true;
}

std::unique_ptr<Connection> InjectedRequest::accept() {
  if (successor_) {
    state_ = State::over;
    return successor_->accept();
  }
  if (state_ != State::asked || !waits()) return nullptr;
  state_ = State::over;
  forget();
  return std::make_unique<InjectedConnection>(injector_, std::move(connect_));
}

void InjectedRequest::refuse(Refusal how) {
  // Silence is the device's: the guest's kernel asks again and gives up by itself. And a call that has ended
  // cannot be answered any more, but its socket can.
  if (state_ == State::asked && (how == Refusal::drop || (!waits() && !has_left()))) move_to_device(!waits());
  if (state_ == State::asked)
    injector_.listener_.answer(connect_.call.id, errno_for(how, key_.target.address.is_v4()));
  else if (successor_)
    successor_->refuse(how);
  else if (state_ == State::moved)
    injector_.options_.moved.refuse(moved_key_, how);
  state_ = State::over;
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
  const bool injected =
      injector_.options_.presence.away([&] { return injector_.inject(connect_, std::move(far)); });
  record->ended(injected ? FlowEnd::injected : FlowEnd::reset_by_source);
  record.reset();
  return true;
}

}  // namespace nsrun
