// Injected sockets: a command's connect(2) ends with a socket of the host's in place of the command's own,
// and no byte of the flow passes through the device or this process.
//
//   guest: connect ──► seccomp ──► run ─► look ──┬─► let go on        not TCP: the kernel does as asked
//                                                ├─► GuestUnixSockets       … but in a closed sandbox
//                                                ├─► perform          on our copy of the guest's socket
//                                                └─► InjectedRequest ─► sink ─► Carrier::carry
//                                                      refused: the errno       (policy, dialer, record)
//                                                      dialled: inject
//                                                      dialling takes long: moved to the device
//
// One policy, one dialer, one record. An InjectedRequest is a Request like a held SYN; what the dialer gives
// is put over the guest's descriptor, with the options that the guest had set. Where that would not be the
// same to the program (another descriptor, an epoll set or another process knows the old socket; it is bound;
// the far end is no TCP socket, or has another address than was asked for), and where the guest's own routes
// do not lead to the device, the guest's socket is connected by us, as its kernel would have.
//
// What is checked is what is used. Descriptor and address are copied once, after which only the copies count;
// that the caller still waits is asked after copying, since its number could have gone to another process.
// No TCP connect is ever let go on. What is let go on can be made into something else by another thread of
// the guest's, and is harmless all the same: container/seccomp/connect_trap.cc says why. A socket of our own
// namespace is never connected by us, nor bound, nor made to listen: it is one that was injected (or that the
// user handed in), and a guest that found a way to disconnect one must not have it put to another use.
// bind(2) and listen(2) are asked of us for that alone; they are carried out on our copy.
//
// In a closed sandbox no connect at all is let go on: what was looked at could become a connect of a unix
// socket of outside. Those of unix sockets are the agent's (GuestUnixSockets), all others are carried out on our
// copy. That is so without --accelerate too, where nothing is injected.
//
// Nothing here waits, as the guest's kernel sees it. A blocking connect keeps its notification open until
// there is an answer. A non-blocking one must be answered at once: a dial that is not done in `dial_patience` is
// moved to the device. The guest's socket is connected there, the call returns EINPROGRESS, and the SYN that
// comes out of the device is given to the request that waits for it (arrived), with the dial under way:
// nobody is dialled twice. A caller that we heard of is woken by a fatal signal alone, so that calls which
// cannot be interrupted are not; for a blocking connect we look for signals every `look_again`, and answer as
// the kernel would have. A connect that is restarted then finds its request by the socket's inode; one that
// is not is moved.
//
// What we do to the guest's files may take as long as the guest likes: a connect whose O_NONBLOCK another
// thread takes away, the close of the last copy of a socket with SO_LINGER, a file of a FUSE server's or
// memory that one backs, a caller that is given no processor. All of it is done while this thread is away
// (presence.h). What stands still then is this injector: the further connects of this guest's. The stack, the
// log and everybody else are on other threads, and none waits for this one (injector_thread.h).
//
// A guest that floods us waits in its kernel's queue: past `max_open_calls` calls none is received. A dial goes on
// when its call has been answered or its caller is gone; with `max_unattended` of them no further ones are
// begun here, and connects go through the device.

#include "host/sandbox/inject/injector.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "host/sandbox/inject/epoll_waiter.h"
#include "host/sandbox/inject/guest_thread.h"
#include "host/sandbox/inject/injected_request.h"
#include "host/sandbox/inject/shared_descriptors.h"
#include "host/sandbox/inject/socket_options.h"

namespace nsrun {
namespace {

constexpr std::size_t max_open_calls = 4096;  // calls being worked on; the next ones wait in the kernel
// Dials; past it connects go through the device, where twice as many may be held.
constexpr std::size_t max_unattended = 2048;
constexpr int max_calls_at_once = 16;  // calls received before other tasks get their turn
constexpr auto dial_patience = 5ms;    // with a dial for a non-blocking connect; then the device takes over
constexpr auto look_again = 50ms;  // at the caller of a connect that takes long: was it killed, or signalled?
constexpr int restart_system = 512;  // ERESTARTSYS (linux/errno.h)

std::uint64_t own_network() {
  const UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe ? facts_of(probe.get()).network : 0;
}

bool is_connected(int socket) {
  SocketAddress peer;
  return ::getpeername(socket, peer.get(), &peer.length) == 0;
}

}  // namespace

Result<std::unique_ptr<Injector>> Injector::start(Message accelerate, Options options, Scope& tasks,
                                                  RequestSink sink) {
  auto& fds = accelerate.fds;
  if (fds.size() < 2) return Error{"the sandbox sent no seccomp listener"};
  auto listener = SeccompListener::open(std::move(fds.front()));
  if (!listener) return listener.error();
  std::unique_ptr<Injector> injector(
      new Injector(std::move(*listener), std::move(options), tasks, std::move(sink)));
  for (std::size_t i = 1; i < fds.size(); ++i) {
    const auto facts = facts_of(fds[i].get());
    if (facts.family == AF_UNIX) injector->doors_ = GuestUnixSockets(std::move(fds[i]));
    if (facts.type != SOCK_DGRAM) continue;
    injector->guest_network_ = facts.network;
    (facts.family == AF_INET6 ? injector->probe6_ : injector->probe4_) = std::move(fds[i]);
  }
  if (injector->own_network_ == 0 || injector->guest_network_ == injector->own_network_)
    return Error{"the sandbox's network cannot be told from the host's"};
  injector->injects_ = accelerate.number == 0;
  tasks.spawn(injector->run());
  return injector;
}

Injector::Injector(SeccompListener listener, Options options, Scope& tasks, RequestSink sink)
    : listener_(std::move(listener)),
      options_(std::move(options)),
      tasks_(tasks),
      sink_(std::move(sink)),
      own_network_(own_network()),
      guest_network_(own_network_),
      room_(tasks.executor()) {}

Injector::~Injector() = default;

Task<> Injector::run() {
  EpollWaiter watched(executor(), listener_.get(), EPOLLIN);
  while (co_await watched.ready()) {
    for (int i = 0; i < max_calls_at_once; ++i) {
      while (open_ >= max_open_calls) co_await room_.wait();
      const auto call = listener_.receive();
      if (!call) break;
      handle(*call);
    }
    if (listener_.is_over()) co_return;
  }
}

void Injector::handle(const TrappedCall& call) {
  Looked looked = options_.presence.away([&] { return look(call); });
  if (looked.next == Looked::Next::ask) ask(std::move(looked.connect));
  if (looked.next == Looked::Next::see_through)
    tasks_.spawn(see_through(std::move(looked.connect), open_call()));
}

Injector::Looked Injector::look(const TrappedCall& call) {
  auto socket = copy_descriptor(call.thread, call.descriptor);
  if (!socket) return answer_unseen(call, socket.error().code.value()), Looked{};
  GuestConnect connect{call, GuestFile(std::move(*socket), options_.presence)};
  const SocketFacts facts = facts_of(connect.socket.get());
  if (call.kind == TrappedCall::Kind::listen) {
    if (!listener_.waits(call.id)) return {};
    if (facts.family == AF_UNIX && doors_.are_closed()) return look_at_other(std::move(connect), facts);
    listener_.answer(call.id, listen_for(call, connect.socket.get(), facts));
    return {};
  }
  const bool is_door =
      doors_.are_closed() && call.kind == TrappedCall::Kind::connect && !facts.is_inet_stream();
  if (!facts.is_inet_stream() && !is_door) return listener_.let_go_on(call.id), Looked{};
  connect.non_blocking = (::fcntl(connect.socket.get(), F_GETFL) & O_NONBLOCK) != 0;
  const int bad_address = copy_address(call, connect.address);
  if (!listener_.waits(call.id)) return {};  // and the copies may be another's
  if (bad_address) return listener_.answer(call.id, bad_address), Looked{};
  if (is_door) return look_at_other(std::move(connect), facts);
  if (call.kind == TrappedCall::Kind::connect) return look_at_connect(std::move(connect), facts);
  listener_.answer(call.id, bind_for(connect, facts));
  return {};
}

void Injector::answer_unseen(const TrappedCall& call, int error) {
  // A program whose file the user may not read cannot be looked into: its TCP goes nowhere, and in a closed
  // sandbox it connects nothing.
  if (error == EPERM && call.kind != TrappedCall::Kind::listen && !doors_.are_closed())
    return listener_.let_go_on(call.id);
  // Nobody would be helped by a wait for descriptors of our own.
  listener_.answer(call.id, error == EMFILE || error == ENFILE ? ENOBUFS : error);
}

// In a closed sandbox: what is no TCP.
Injector::Looked Injector::look_at_other(GuestConnect connect, const SocketFacts& facts) {
  int error;
  if (facts.family == AF_UNIX) {
    error = doors_.pass_on(connect);
    if (error == 0) return {};
  } else {
    error = facts.family == AF_NETLINK && !is_kernel(connect.address) ? EPERM : connect_now(connect);
  }
  listener_.answer(connect.call.id, error);
  return {};
}

// What the user handed in may listen already.
int Injector::listen_for(const TrappedCall& call, int socket, const SocketFacts& facts) const {
  if (facts.is_inet_stream() && facts.network == own_network_ && !is_listening(socket)) return EINVAL;
  return ::listen(socket, call.backlog) == 0 ? 0 : errno;
}

// EINVAL is what a connected socket says.
int Injector::bind_for(const GuestConnect& bind, const SocketFacts& facts) const {
  if (facts.network == own_network_) return EINVAL;
  return ::bind(bind.socket.get(), bind.address.get(), bind.address.length) == 0 ? 0 : errno;
}

// A socket that was injected is connected, and stays so.
int Injector::refuse_own(const GuestConnect& connect) const {
  if (connect.address.length < sizeof(sa_family_t)) return EINVAL;
  if (connect.address.family() == AF_UNSPEC) return EOPNOTSUPP;
  return is_connected(connect.socket.get()) ? EISCONN : EACCES;
}

Injector::Looked Injector::look_at_connect(GuestConnect connect, const SocketFacts& facts) {
  if (facts.network == own_network_) return listener_.answer(connect.call.id, refuse_own(connect)), Looked{};
  if (resume(connect)) return {};
  if (can_be_replaced(connect, facts)) return {Looked::Next::ask, std::move(connect)};
  return perform(std::move(connect));
}

bool Injector::resume(GuestConnect& connect) {
  const auto before = asked_.find(inode_of(connect.socket.get()));
  return before != asked_.end() && before->second->resumed_by(connect);
}

bool Injector::can_be_replaced(const GuestConnect& connect, const SocketFacts& facts) const {
  const auto& address = connect.address;
  const bool v4 = address.family() == AF_INET && address.length >= sizeof(sockaddr_in);
  const bool v6 = address.family() == AF_INET6 && address.length >= sizeof(sockaddr_in6);
  if (!injects_ || facts.protocol != IPPROTO_TCP || facts.network != guest_network_) return false;
  if ((facts.family == AF_INET && !v4) || (facts.family == AF_INET6 && !v6)) return false;
  return unattended_ < max_unattended && is_untouched(connect.socket.get()) &&
         goes_to_device(address.endpoint()) &&
         !is_shared(options_.agent, connect.call.thread, inode_of(connect.socket.get()));
}

// A datagram socket's connect sends nothing and chooses a route; the source address it gets tells which. It
// keeps that address until it is disconnected (connect(2), AF_UNSPEC).
bool Injector::goes_to_device(const Endpoint& target) const {
  const auto& network = options_.network;
  if (network.is_guest(target.address) || network.is_name_server(target.address) ||
      target.address.is_link_local() || target.port == 0)
    return false;
  const int probe = (target.address.is_v4() ? probe4_ : probe6_).get();
  const SocketAddress there(target);
  SocketAddress here;
  const bool routed = probe >= 0 && ::connect(probe, there.get(), there.length) == 0 &&
                      ::getsockname(probe, here.get(), &here.length) == 0;
  constexpr sockaddr nowhere{AF_UNSPEC, {}};
  ::connect(probe, &nowhere, sizeof nowhere);
  return routed && network.is_guest(here.endpoint().address);
}

void Injector::ask(GuestConnect connect) {
  const auto target = connect.address.endpoint();
  const auto& network = options_.network;
  const FlowKey key{Protocol::tcp, {target.address.is_v4() ? network.guest4 : network.guest6, 0}, target};
  const auto inode = inode_of(connect.socket.get());
  auto limit = send_timeout(connect.socket.get());
  if (connect.non_blocking) limit = dial_patience;
  sink_(std::make_unique<InjectedRequest>(*this, std::move(connect), key));
  // Most dials to loopback are over by now.
  if (const auto at = asked_.find(inode); at != asked_.end())
    tasks_.spawn(attend(at->second->ended(), inode, limit));
}

// Ends with its request: a guest may set limits of hours.
Task<> Injector::attend(std::shared_ptr<Signal> ended, std::uint64_t inode,
                        std::optional<Clock::duration> limit) {
  const auto deadline = limit ? Clock::now() + *limit : Clock::time_point::max();
  for (;;) {
    const auto left = std::max<Clock::duration>(deadline - Clock::now(), 0ms);
    if (co_await either(ended->wait(), sleep_for(std::min<Clock::duration>(left, look_again)))) co_return;
    const auto request = asked_.find(inode);
    if (request == asked_.end() || request->second->ended() != ended) co_return;
    if (Clock::now() >= deadline) co_return request->second->move_to_device(true);
    request->second->look_after_caller();
  }
}

// As a connect of the kernel's that waits: one with a limit is not begun anew (signal(7)).
bool Injector::let_signal_through(const GuestConnect& connect) {
  const pid_t thread = connect.call.thread;
  if (!options_.presence.away([thread] { return has_signal(thread); })) return false;
  return listener_.answer(connect.call.id, send_timeout(connect.socket.get()) ? EINTR : restart_system);
}

void Injector::arrived(const FlowKey& key, MovedRequest syn) {
  const auto at = expected_.find(key);
  if (at == expected_.end()) return syn.give_back();
  InjectedRequest& waiting = *at->second;
  expected_.erase(at);
  waiting.continued_by(std::move(syn));
}

Injector::Looked Injector::perform(GuestConnect connect) {
  int error = connect_now(connect);
  // Inside one namespace the handshake is done by now.
  if (!connect.non_blocking && is_under_way(error)) error = connect_now(connect);
  if (!connect.non_blocking && is_under_way(error)) return {Looked::Next::see_through, std::move(connect)};
  listener_.answer(connect.call.id, error);
  return {};
}

// A blocking connect that is under way, to its end: the guest's kernel ends it, a signal, or the guest's own
// limit.
Task<> Injector::see_through(GuestConnect connect, CountGuard) {
  const auto limit = send_timeout(connect.socket.get());
  const auto deadline = limit ? Clock::now() + *limit : Clock::time_point::max();
  int error = EINPROGRESS;
  while (is_under_way(error) && listener_.waits(connect.call.id) && Clock::now() < deadline) {
    const auto left = limit ? deadline - Clock::now() : Clock::duration::max();
    co_await writable_within(executor(), connect.socket.get(), std::min<Clock::duration>(left, look_again));
    error = options_.presence.away([&] { return connect_now(connect); });
    if (is_under_way(error) && let_signal_through(connect)) co_return;
  }
  listener_.answer(connect.call.id, is_under_way(error) ? EINPROGRESS : error == EISCONN ? 0 : error);
}

Task<> Injector::go_through_device(GuestConnect connect, FlowKey key, bool call_ends, CountGuard open) {
  co_await options_.moved.expect(key);
  const int error = options_.presence.away([&] { return connect_now(connect); });
  if (error != 0 && !is_under_way(error)) options_.moved.expect_no_more(key);
  if (connect.non_blocking || call_ends || !is_under_way(error))
    listener_.answer(connect.call.id, error);
  else
    co_await see_through(std::move(connect), std::move(open));
}

bool Injector::inject(GuestConnect& connect, UniqueFd far) {
  const auto& call = connect.call;
  const auto close_on_exec = closes_on_exec(call.thread, call.descriptor, inode_of(connect.socket.get()));
  if (!close_on_exec) {
    listener_.answer(call.id, ECONNABORTED);
    return false;
  }
  carry_options_over(connect.socket.get(), far.get());
  const int failed = listener_.replace(call.id, call.descriptor, far.get(), *close_on_exec);
  if (failed) {
    listener_.answer(call.id, failed == EBADF ? EBADF : ECONNABORTED);
    return false;
  }
  // The guest's copy must be the last to be closed: a close may wait from here on.
  carry_linger_over(connect.socket.get(), far.get());
  far.reset();
  listener_.answer(call.id, connect.non_blocking ? EINPROGRESS : 0);
  return true;
}

}  // namespace nsrun
