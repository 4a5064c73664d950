#include "host/socket_relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace nsrun {
namespace {

constexpr int pipe_size = 1 << 20;  // bytes; the kernel's default limit for users (pipe(7))
constexpr std::size_t splice_size = 1 << 20;
constexpr int rounds_before_yield = 16;

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return {};
  ::fcntl(ends[1], F_SETPIPE_SZ, pipe_size);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct Way {
  Descriptor& from;
  Descriptor& to;
  bool& finished;
  Asker from_whom;
  void (FlowRecord::*moved)(std::uint64_t, std::uint64_t);
  FlowEnd if_from_breaks, if_to_breaks;
};

// Empties the pipe into the socket. False: the socket broke.
Task<bool> drain(const Pipe& pipe, const Way& way, std::size_t bytes, FlowRecord& record) {
  while (bytes > 0) {
    const ssize_t sent = ::splice(pipe.read.get(), nullptr, way.to.native_handle(), nullptr, bytes,
                                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent > 0) {
      bytes -= static_cast<std::size_t>(sent);
      (record.*way.moved)(static_cast<std::uint64_t>(sent), 1);
    } else if (errno == EAGAIN) {
      if (!co_await writable(way.to)) co_return false;
    } else if (errno != EINTR)
      co_return false;
  }
  co_return true;
}

void reset(Descriptor& socket) {
  const linger at_once{1, 0};
  if (!socket.is_open()) return;
  ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.close();
}

void break_both(Way& way) {
  reset(way.from);
  reset(way.to);
}

// A stream that is cut off, by our own end for instance, must not look whole to who reads it.
struct ResetUnfinished {
  Descriptor& near;
  Descriptor& far;
  bool up = false, down = false;  // finished
  ~ResetUnfinished() {
    if (!down) reset(near);
    if (!up) reset(far);
  }
};

Task<> pump(Way way, FlowRecord& record) {
  const Pipe pipe = make_pipe();
  if (!pipe.read) {
    record.why = errno_error("cannot make a pipe", "raise the limit of open files (ulimit -n)").message();
    record.ended(FlowEnd::failed);
    co_return break_both(way);
  }
  for (int round = 0; way.from.is_open() && way.to.is_open(); ++round) {
    const ssize_t got = ::splice(way.from.native_handle(), nullptr, pipe.write.get(), nullptr, splice_size,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got == 0) {
      ::shutdown(way.to.native_handle(), SHUT_WR);
      way.finished = true;
      if (way.from_whom == Asker::guest) record.guest_finished();
      co_return;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) {
      record.ended(way.if_from_breaks);
      co_return break_both(way);
    }
    if (got < 0) {
      round = 0;
      if (!co_await readable(way.from)) co_return;
      continue;
    }
    if (!co_await drain(pipe, way, static_cast<std::size_t>(got), record)) {
      record.ended(way.if_to_breaks);
      co_return break_both(way);
    }
    // A stream that never runs dry must not keep the loop to itself.
    if (round % rounds_before_yield == rounds_before_yield - 1)
      co_await asio::post(co_await asio::this_coro::executor, use_task);
  }
}

}  // namespace

Task<> relay_sockets(Executor executor, UniqueFd near, UniqueFd far, FlowRecord& record) {
  Descriptor a(executor, near.release()), b(executor, far.release());
  ResetUnfinished state{a, b};
  const Asker other = record.asker == Asker::guest ? Asker::client : Asker::guest;
  co_await both(pump({a, b, state.up, record.asker, &FlowRecord::moved_up, FlowEnd::reset_by_source,
                      FlowEnd::reset_by_target},
                     record),
                pump({b, a, state.down, other, &FlowRecord::moved_down, FlowEnd::reset_by_target,
                      FlowEnd::reset_by_source},
                     record));
  record.ended(FlowEnd::closed);
}

}  // namespace nsrun
