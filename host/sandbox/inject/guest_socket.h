#pragma once

#include <cstdint>
#include <optional>

#include "host/sandbox/inject/presence.h"
#include "host/sandbox/inject/seccomp_listener.h"
#include "runtime/address.h"
#include "runtime/task.h"

namespace nsrun {

// A file of the guest's. To close the last copy of one may take as long as the guest likes (SO_LINGER, FUSE).
class GuestFile {
 public:
  GuestFile() = default;
  GuestFile(UniqueFd file, Presence& presence) : file_(std::move(file)), presence_(&presence) {}
  GuestFile(GuestFile&&) = default;
  GuestFile& operator=(GuestFile&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(presence_, other.presence_);
    return *this;
  }
  ~GuestFile() {
    if (file_) presence_->away([this] { file_.reset(); });
  }
  int get() const { return file_.get(); }

 private:
  UniqueFd file_;
  Presence* presence_ = nullptr;
};

// A connect of the guest's with our own copies of what it names: nothing the guest does to its descriptor or
// its memory afterwards changes them.
struct GuestConnect {
  TrappedCall call;
  GuestFile socket;
  SocketAddress address = {};  // as the guest wrote it, any family
  bool non_blocking = false;
};

// What counts about a socket that is to be connected.
struct SocketFacts {
  int family = 0;  // SO_DOMAIN
  int type = 0;
  int protocol = 0;
  std::uint64_t network = 0;  // which network namespace, as SO_NETNS_COOKIE names it
  bool is_inet_stream() const;
};

// A copy of the guest's file. errno: EBADF where the guest has none there.
Result<UniqueFd> copy_descriptor(pid_t thread, int descriptor);
// Reads the address from the guest's memory, once; 0 or EFAULT, EINVAL as connect(2) and bind(2) would say.
int copy_address(const TrappedCall& call, SocketAddress& into);
SocketFacts facts_of(int socket);
std::uint64_t inode_of(int file);

// Neither bound nor connected nor filtered nor tied to an interface: another socket can stand in for it.
bool is_untouched(int socket);
bool is_listening(int socket);

// Connects our copy; waits only where another thread of the guest's makes it. 0 or connect's errno,
// EINPROGRESS and EALREADY while it is under way.
int connect_now(const GuestConnect& connect);
inline bool is_under_way(int error) { return error == EINPROGRESS || error == EALREADY; }
// How long a blocking connect waits (SO_SNDTIMEO); nothing: as long as it takes.
std::optional<Clock::duration> send_timeout(int socket);
// Waits until our copy has news, at most for `limit`.
Task<> writable_within(Executor executor, int socket, Clock::duration limit);

}  // namespace nsrun
