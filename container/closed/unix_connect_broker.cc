// Who may connect to which unix socket, in a closed sandbox.
//
//   guest: connect ─► seccomp ─► host: copies descriptor and address, once; TCP and UDP are its own
//                                  │ connect_unix (the call's number, the copies, the caller's pidfd)
//                                  ▼
//                                agent: UnixConnectBroker ─ fork ─► child: sees files as the caller does
//                                                              opens the path (O_PATH), which names one file
//                                                              now was that bound inside, or is it allowed?
//   guest ◄───────────────────────────────────────────────── connects the copy to that file, and answers
//
// What is judged is what is used: from the moment the path is open only the open file counts, and it is
// connected to by its descriptor. Bound inside is what sock_diag lists in the sandbox's network namespace, or
// in the caller's own, by the kernel's numbers of the file. They are told with 32 bits of the inode's, so the
// peer must have begun to listen in the sandbox's pid namespace besides: if not, the copy is shut down before
// the guest gets hold of it as a connected one.
//
// The child is in the agent's place: it has the guest's user and pid namespaces, is not dumpable, executes
// nothing, and gives up what rights the caller has not before it touches the caller's path. A path may lead
// into a FUSE server of the guest's that never answers: then that child waits, for that call alone, and ends
// with the sandbox. A guest may kill its child; the agent hears of it and ends the call.
//
// The guest's root may mount what it likes over /proc. So ours is a mount that was taken out of the tree
// before the guest ran (UnixConnectRules::proc).
//
// Left out: a container inside that has a network namespace of its own reaches sockets that were bound in the
// sandbox's, and its own; the sandbox's processes do not reach those bound in the container's.

#include "container/closed/unix_connect_broker.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "container/closed/guest_view.h"
#include "container/closed/unix_sockets.h"
#include "runtime/handshake.h"
#include "runtime/seccomp_call.h"

namespace nsrun {
namespace {

constexpr suseconds_t look_again =
    100'000;  // microseconds: whether the caller of a connect that waits still does

struct Request {
  std::uint64_t call = 0;
  bool listens = false;  // else it connects
  int backlog = 0;
  std::string address;  // as the guest wrote it
  UniqueFd socket;      // a copy of the guest's
  UniqueFd caller;      // a pidfd
};

bool take_request(Message message, Request& into) {
  into.listens = message.type == MessageType::listen_unix;
  if ((!into.listens && message.type != MessageType::connect_unix) || message.body.size() < sizeof into.call)
    return false;
  into.backlog = message.number;
  std::memcpy(&into.call, message.body.data(), sizeof into.call);
  into.address = message.body.substr(sizeof into.call);
  if (message.fds.size() != 2) return true;  // they found no room here (EMFILE)
  into.socket = std::move(message.fds[0]);
  into.caller = std::move(message.fds[1]);
  return true;
}

// The path of a unix address; empty for abstract names and for what is no unix address.
std::string path_of(const std::string& address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size() <= sizeof family) return "";
  std::memcpy(&family, address.data(), sizeof family);
  if (family != AF_UNIX) return "";
  const auto path = address.substr(sizeof family);
  return path.substr(0, path.find('\0'));
}

int connect_to(int socket, const std::string& address, int listener, std::uint64_t call) {
  while (::connect(socket, reinterpret_cast<const sockaddr*>(address.data()),
                   static_cast<socklen_t>(address.size())) < 0)
    if (errno != EINTR || !call_waits(listener, call)) return errno;
  return 0;
}

std::uint64_t network_of(int socket) {
  std::uint64_t network = 0;
  socklen_t size = sizeof network;
  ::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &network, &size);
  return network;
}

// Its number is 0 where it is no process of this pid namespace or below (unix(7), SO_PEERCRED).
bool peer_is_inside(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid != 0;
}

// So that a connect that waits for room in the server's queue looks up now and then.
void wake_now_and_then() {
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &nothing, nullptr);  // without SA_RESTART
  const itimerval often{{0, look_again}, {0, look_again}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
}

// One call, in a process of its own. Each step gives 0 or an errno.
class Visit {
 public:
  Visit(const UnixConnectRules& rules, int listener, const Request& request)
      : rules_(rules),
        listener_(listener),
        request_(request),
        thread_(GuestThread::named_by(rules.proc.get(), request.caller.get())),
        guest_(rules.proc.get(), thread_) {}

  int run() {
    if (thread_ == 0) return ESRCH;
    if (request_.listens) return ::listen(request_.socket.get(), request_.backlog) == 0 ? 0 : errno;
    if (const int error = open_networks()) return error;
    if (!guest_.share_view()) return EACCES;
    // The number could have become another's while we looked.
    if (!call_waits(listener_, request_.call)) return ECONNABORTED;
    wake_now_and_then();
    const auto path = path_of(request_.address);
    return path.empty() ? connect_unnamed() : connect_path(path);
  }

 private:
  int open_networks() {
    auto ours = UnixSockets::open();
    if (!ours) return EACCES;
    networks_.push_back(std::move(*ours));
    const auto other = guest_.other_network();
    if (!other) return EACCES;
    const UniqueFd network(*other);
    if (!network) return 0;
    if (::setns(network.get(), CLONE_NEWNET) < 0) return EACCES;
    auto theirs = UnixSockets::open();
    if (!theirs) return EACCES;
    networks_.push_back(std::move(*theirs));
    return 0;
  }

  // Abstract names are the network namespace's that the socket was made in.
  int connect_unnamed() const {
    const auto network = network_of(request_.socket.get());
    const auto same = [=](const UnixSockets& one) { return one.network() == network; };
    if (std::none_of(networks_.begin(), networks_.end(), same)) return ECONNREFUSED;
    return connect_to(request_.socket.get(), request_.address, listener_, request_.call);
  }

  int connect_path(const std::string& path) const {
    const UniqueFd file(::open(guest_.as_own(path).c_str(), O_PATH | O_CLOEXEC));
    struct stat found {};
    if (!file || ::fstat(file.get(), &found) < 0) return errno;
    if (!S_ISSOCK(found.st_mode)) return ECONNREFUSED;
    // Who lives in a chroot sees no mount that begins above it; the agent does, in its own mount namespace.
    auto identity = identify(file.get(), rules_.proc.get(), std::to_string(thread_));
    if (!identity) identity = identify(file.get(), rules_.proc.get(), "1");
    if (!identity) return EACCES;
    const bool allowed =
        std::find(rules_.allowed.begin(), rules_.allowed.end(), *identity) != rules_.allowed.end();
    // As of a file that a server left behind: programs know what to do then.
    if (!allowed && !is_bound_inside(*identity)) return ECONNREFUSED;
    return connect_file(file.get(), allowed);
  }

  bool is_bound_inside(const FileIdentity& file) const {
    return std::any_of(networks_.begin(), networks_.end(), [&](const UnixSockets& one) {
      const auto has = one.has(file);
      return has && *has;
    });
  }

  int connect_file(int file, bool allowed) const {
    if (::fchdir(rules_.proc.get()) < 0) return EACCES;
    const sa_family_t family = AF_UNIX;
    std::string address(reinterpret_cast<const char*>(&family), sizeof family);
    address += "self/fd/" + std::to_string(file) + '\0';
    const int socket = request_.socket.get();
    if (const int error = connect_to(socket, address, listener_, request_.call)) return error;
    if (allowed || peer_is_inside(socket)) return 0;
    ::shutdown(socket, SHUT_RDWR);
    return ECONNREFUSED;
  }

  const UnixConnectRules& rules_;
  const int listener_;
  const Request& request_;
  const pid_t thread_;  // in the sandbox's pid namespace
  const GuestThread guest_;
  std::vector<UnixSockets> networks_;
};

}  // namespace

Result<UniqueFd> proc_of_our_own() {
  UniqueFd proc(
      static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!proc) return errno_error("cannot take a copy of /proc");
  return proc;
}

bool UnixConnectBroker::serve() {
  auto message = receive_message(requests_.get());
  if (!message) return message.error().code.value() == EAGAIN;
  if (!*message) return false;
  Request request;
  if (!take_request(std::move(**message), request)) return true;
  if (!request.socket || !request.caller) {
    answer_call(listener_.get(), request.call, EMFILE);
    return true;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    answer_call(listener_.get(), request.call, Visit(rules_, listener_.get(), request).run());
    ::_exit(0);
  }
  if (child < 0)
    answer_call(listener_.get(), request.call, EAGAIN);
  else
    calls_[child] = request.call;
  return true;
}

void UnixConnectBroker::ended(pid_t child) {
  const auto at = calls_.find(child);
  if (at == calls_.end()) return;
  // Nobody waits any more, unless the child was killed.
  answer_call(listener_.get(), at->second, ECONNABORTED);
  calls_.erase(at);
}

}  // namespace nsrun
