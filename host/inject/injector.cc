// Injected sockets: a command's connect(2) ends with a socket of the host's in place of the command's own,
// and no byte of the flow passes through the device or this process.
//
//   guest: connect ──► seccomp ──► run ─► handle ──┬─► let go on        not TCP: the kernel does as asked
//                                                  ├─► perform          on our copy of the guest's socket
//                                                  └─► InjectedRequest ─► sink ─► Carrier::carry
//                                                        refused: the errno       (policy, dialer, record)
//                                                        dialled: inject
//                                                        dialling takes long: moved to the device
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
// the guest's, and is harmless all the same: container/connect_trap.cc says why. A socket of our own
// namespace is never connected by us, nor made to listen: it is one that was injected (or that the user
// handed in), and a guest that found a way to disconnect one must not have it put to another use. listen(2)
// is asked of us for that alone; it is carried out on our copy, whatever kind of socket it is.
//
// Nothing here waits. A blocking connect keeps its notification open until there is an answer. A non-blocking
// one must be answered at once: a dial that is not done in `patience` is moved to the device. The guest's
// socket is connected there, the call returns EINPROGRESS, and the SYN that comes out of the device is given
// to the request that waits for it (claim), with the dial under way: nobody is dialled twice. So is a connect
// that a signal interrupted; one that is restarted finds its request by the socket's inode.
//
// A guest that floods us waits in its kernel's queue: past `most_open` calls none is received.

#include "host/inject/injector.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "host/inject/injected_request.h"
#include "host/inject/shared_descriptors.h"
#include "host/inject/socket_options.h"
#include "host/inject/watched.h"

namespace nsrun {
namespace {

constexpr std::size_t most_open = 4096;  // calls being worked on; the next ones wait in the kernel
constexpr int most_at_once = 16;         // calls received before other tasks get their turn
constexpr auto patience = 5ms;           // with a dial for a non-blocking connect; then the device takes over
constexpr auto look_again = 1s;          // whether the caller of a connect under way still waits
constexpr std::size_t most_unheard = 256;   // injected sockets; past it the oldest says EISCONN
constexpr std::size_t most_decided = 1024;  // refusals that wait for their SYN; past it the oldest goes

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
    if (facts.type != SOCK_DGRAM) continue;
    injector->guest_network_ = facts.network;
    (facts.family == AF_INET6 ? injector->probe6_ : injector->probe4_) = std::move(fds[i]);
  }
  if (injector->own_network_ == 0 || injector->guest_network_ == injector->own_network_)
    return Error{"the sandbox's network cannot be told from the host's"};
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
  Watched watched(executor(), listener_.get(), EPOLLIN);
  while (co_await watched.ready()) {
    for (int i = 0; i < most_at_once; ++i) {
      while (open_ >= most_open) co_await room_.wait();
      const auto call = listener_.receive();
      if (!call) break;
      handle(*call);
    }
    if (listener_.is_over()) co_return;
  }
}

void Injector::handle(const TrappedCall& call) {
  auto socket = copy_descriptor(call.thread, call.descriptor);
  if (!socket) {
    // Nobody would be helped by a wait for descriptors of our own.
    const int error = socket.error().code.value();
    // A program whose file the user may not read cannot be looked into: its TCP goes nowhere.
    if (error == EPERM && call.kind == TrappedCall::Kind::connect) return listener_.let_go_on(call.id);
    listener_.answer(call.id, error == EMFILE || error == ENFILE ? ENOBUFS : error);
  } else if (call.kind == TrappedCall::Kind::connect) {
    handle_connect(call, std::move(*socket));
  } else if (listener_.waits(call.id)) {
    listener_.answer(call.id, listen_for(call, socket->get()));
  }
}

// What the user handed in may listen already.
int Injector::listen_for(const TrappedCall& call, int socket) const {
  const SocketFacts facts = facts_of(socket);
  if (facts.is_inet_stream() && facts.network == own_network_ && !is_listening(socket)) return EINVAL;
  return ::listen(socket, call.backlog) == 0 ? 0 : errno;
}

void Injector::handle_connect(const TrappedCall& call, UniqueFd socket) {
  const SocketFacts facts = facts_of(socket.get());
  if (!facts.is_inet_stream()) return listener_.let_go_on(call.id);
  GuestConnect connect;
  connect.call = call;
  connect.socket = std::move(socket);
  connect.non_blocking = (::fcntl(connect.socket.get(), F_GETFL) & O_NONBLOCK) != 0;
  const int bad_address = copy_address(call, connect.address);
  if (!listener_.waits(call.id)) return;  // and the copies may be another's
  if (bad_address)
    listener_.answer(call.id, bad_address);
  else if (facts.network == own_network_)
    listener_.answer(call.id, refuse_own(connect));
  else
    handle_inet(std::move(connect), facts);
}

// A socket that was injected is connected, and stays so.
int Injector::refuse_own(const GuestConnect& connect) {
  if (connect.address.length < sizeof(sa_family_t)) return EINVAL;
  if (connect.address.family() == AF_UNSPEC) return EOPNOTSUPP;
  const auto heard = std::find(unheard_.begin(), unheard_.end(), inode_of(connect.socket.get()));
  if (heard == unheard_.end()) return is_connected(connect.socket.get()) ? EISCONN : EACCES;
  unheard_.erase(heard);
  return 0;
}

void Injector::handle_inet(GuestConnect connect, const SocketFacts& facts) {
  if (resume(connect)) return;
  if (can_be_replaced(connect, facts)) return ask(std::move(connect));
  perform(std::move(connect));
}

bool Injector::resume(GuestConnect& connect) {
  const auto before = asked_.find(inode_of(connect.socket.get()));
  return before != asked_.end() && before->second->resumed_by(connect);
}

bool Injector::can_be_replaced(const GuestConnect& connect, const SocketFacts& facts) {
  const auto& address = connect.address;
  const bool v4 = address.family() == AF_INET && address.length >= sizeof(sockaddr_in);
  const bool v6 = address.family() == AF_INET6 && address.length >= sizeof(sockaddr_in6);
  if (facts.protocol != IPPROTO_TCP || facts.network != guest_network_) return false;
  if ((facts.family == AF_INET && !v4) || (facts.family == AF_INET6 && !v6)) return false;
  return is_untouched(connect.socket.get()) && goes_to_device(address.endpoint()) &&
         !is_shared(options_.agent, connect.call.thread, inode_of(connect.socket.get()));
}

// A datagram socket's connect sends nothing and chooses a route; the source address it gets tells which. It
// keeps that address until it is disconnected (connect(2), AF_UNSPEC).
bool Injector::goes_to_device(const Endpoint& target) {
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
  if (connect.non_blocking) limit = patience;
  sink_(std::make_unique<InjectedRequest>(*this, std::move(connect), key));
  // Most dials to loopback are over by now.
  if (const auto at = asked_.find(inode); limit && at != asked_.end())
    tasks_.spawn(move_later(at->second->ended(), inode, *limit));
}

// Ends with its request: a guest may set limits of hours.
Task<> Injector::move_later(std::shared_ptr<Signal> ended, std::uint64_t inode, Clock::duration limit) {
  if (co_await either(ended->wait(), sleep_for(limit))) co_return;
  const auto request = asked_.find(inode);
  if (request != asked_.end() && request->second->ended() == ended && !request->second->is_moved())
    request->second->move_to_device(true);
}

bool Injector::claim(std::unique_ptr<Request>& request) {
  if (const auto at = expected_.find(request->key()); at != expected_.end()) {
    InjectedRequest& waiting = *at->second;
    options_.stack.expect_no_more(at->first);
    expected_.erase(at);
    waiting.continued_by(std::move(request));
    return true;
  }
  return refuse_decided(*request);
}

void Injector::decide(const FlowKey& moved, Refusal how) {
  decided_.push_back({moved, how, Clock::now() + longest_way});
  if (decided_.size() > most_decided) decided_.pop_front();
}

bool Injector::refuse_decided(Request& request) {
  while (!decided_.empty() && decided_.front().until < Clock::now()) decided_.pop_front();
  const auto same = [&](const Decided& one) { return one.key == request.key(); };
  const auto decided = std::find_if(decided_.begin(), decided_.end(), same);
  if (decided == decided_.end()) return false;
  request.refuse(decided->how);
  decided_.erase(decided);
  return true;
}

void Injector::perform(GuestConnect connect) {
  int error = connect_now(connect);
  // Inside one namespace the handshake is done by now.
  if (!connect.non_blocking && is_under_way(error)) error = connect_now(connect);
  if (connect.non_blocking || !is_under_way(error))
    listener_.answer(connect.call.id, error);
  else
    tasks_.spawn(see_through(std::move(connect), open_call()));
}

// A blocking connect that is under way, to its end: the guest's kernel ends it, or the guest's own limit.
Task<> Injector::see_through(GuestConnect connect, OpenCall) {
  const auto limit = send_timeout(connect.socket.get());
  const auto deadline = limit ? Clock::now() + *limit : Clock::time_point::max();
  int error = EINPROGRESS;
  while (is_under_way(error) && listener_.waits(connect.call.id) && Clock::now() < deadline) {
    const auto left = limit ? deadline - Clock::now() : Clock::duration::max();
    co_await writable_within(executor(), connect.socket.get(), std::min<Clock::duration>(left, look_again));
    error = connect_now(connect);
  }
  listener_.answer(connect.call.id, is_under_way(error) ? EINPROGRESS : error == EISCONN ? 0 : error);
}

bool Injector::inject(GuestConnect& connect, int far) {
  const auto& call = connect.call;
  if (!still_names(call.thread, call.descriptor, inode_of(connect.socket.get()))) {
    listener_.answer(call.id, ECONNABORTED);
    return false;
  }
  carry_options_over(connect.socket.get(), far);
  const int failed =
      listener_.replace(call.id, call.descriptor, far, closes_on_exec(call.thread, call.descriptor));
  if (failed) {
    listener_.answer(call.id, failed == EBADF ? EBADF : ECONNABORTED);
    return false;
  }
  const bool heard = listener_.answer(call.id, connect.non_blocking ? EINPROGRESS : 0);
  if (!heard) unheard_.push_back(inode_of(far));
  if (unheard_.size() > most_unheard) unheard_.pop_front();
  return true;
}

}  // namespace nsrun
