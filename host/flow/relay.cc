#include "host/flow/relay.h"

#include <algorithm>
#include <vector>

#include "host/flow/socket_connection.h"
#include "host/flow/socket_relay.h"
#include "runtime/datagram_source.h"
#include "runtime/delivery_error.h"

namespace nsrun {
namespace {

constexpr std::size_t relay_buffer = 65'536;  // bytes: the largest datagram, and a good part of a stream
// A stream's, at first: most connections of many say little and wait.
constexpr std::size_t first_buffer = 4096, buffer_growth = 4;
// At most: with what a tunnel wraps around it (up to 22 bytes) still one segment of the loopback device,
// whose MTU is 65,536. The few bytes beyond it would be a packet of their own, and beyond 64 KiB, which is
// what Asio gives the kernel at once, a system call too.
constexpr std::size_t max_relay_buffer = relay_buffer - 128;

// Of the tasks that relay datagrams both ways, and of the timer beside them.
constexpr std::size_t datagram_tasks = 4096;  // bytes

struct Direction {
  Connection& from;
  Connection& to;
  bool& finished;
  bool from_guest;
  void (FlowRecord::*moved)(std::uint64_t, std::uint64_t);
  FlowEnd if_from_breaks;
  FlowEnd if_to_breaks;
};

Task<> pump(Direction way, FlowRecord& record, MemoryShare* memory) {
  MemoryCharge charge(memory);
  charge.add_always(first_buffer);
  std::vector<std::byte> buffer(first_buffer);
  for (;;) {
    const auto chunk = co_await way.from.read(buffer);
    if (!chunk) {
      record.ended(way.if_from_breaks);
      break;
    }
    if (chunk->end) {
      way.finished = true;
      if (way.from_guest) record.guest_finished();
      co_return way.to.finish();
    }
    const auto written = co_await way.to.write(Bytes(buffer).first(chunk->size));
    if (!written) {
      record.ended(way.if_to_breaks);
      break;
    }
    (record.*way.moved)(chunk->size, 1);
    const auto larger = std::min(buffer.size() * buffer_growth, max_relay_buffer);
    if (chunk->size == buffer.size() && larger > buffer.size() &&
        charge.add(larger - buffer.size(), MemoryUse::ahead))
      buffer = std::vector<std::byte>(larger);
  }
  way.from.reset();
  way.to.reset();
}

// A stream that is cut off must not look whole to who reads it: an end that did not come from the other side
// is a reset.
struct ResetUnfinished {
  Connection& near;
  Connection& far;
  bool up = false, down = false;  // finished
  ~ResetUnfinished() {
    if (!down) near.reset();
    if (!up) far.reset();
  }
};

// Datagrams of `sender` were lost at the other end, as `error` says there: the sender is told, and the flow
// goes on. False: the end is broken.
bool report_lost(Connection& other, Connection& sender, const Error& error) {
  auto* const knows = dynamic_cast<DatagramEnd*>(&other);
  auto* const hears = dynamic_cast<DatagramEnd*>(&sender);
  const auto report = [&](const DeliveryError& undelivered) {
    if (hears)
      hears->report(undelivered);
    else if (undelivered.why == IcmpError::port_unreachable)
      sender.reset();
  };
  bool any = false;
  while (const auto undelivered = knows ? knows->next_undelivered() : std::nullopt) {
    any = true;
    report(*undelivered);
  }
  if (any) return true;
  const auto undelivered = undelivered_for(error.code.value());
  if (undelivered) report(*undelivered);
  return undelivered.has_value();
}

// Room for the largest datagram. Not cleared: only the pages that a datagram touches become memory.
class DatagramRoom {
 public:
  explicit DatagramRoom(MemoryShare* memory) : charge_(memory) {
    if (charge_.add(relay_buffer, MemoryUse::progress))
      room_ = std::make_unique_for_overwrite<std::byte[]>(relay_buffer);
  }
  // Empty where there is no memory: the datagram that is read into it is lost.
  MutableBytes bytes() { return {room_.get(), charge_.bytes()}; }

 private:
  MemoryCharge charge_;
  std::unique_ptr<std::byte[]> room_;
};

// A datagram that cannot be delivered says so (port unreachable) and the flow goes on. Most flows of many are
// silent, so room is held only while a datagram is passed on, where its source can tell that it is there.
Task<> pump_datagrams(Direction way, FlowRecord& record, Clock::time_point& last_seen, MemoryShare* memory) {
  auto* const source = dynamic_cast<DatagramSource*>(&way.from);
  for (;;) {
    if (source) co_await source->datagram_ready();
    DatagramRoom room(memory);
    const auto chunk = co_await way.from.read(room.bytes());
    last_seen = Clock::now();
    if (chunk && chunk->end) co_return record.ended(FlowEnd::idle);
    if (!chunk) {
      if (!report_lost(way.from, way.to, chunk.error())) co_return record.ended(way.if_from_breaks);
      continue;
    }
    if (room.bytes().empty()) continue;
    const auto written = co_await way.to.write(room.bytes().first(chunk->size));
    if (written)
      (record.*way.moved)(chunk->size, 1);
    else if (written.error().code.value() == EPIPE)
      co_return record.ended(way.if_to_breaks);
    else
      report_lost(way.to, way.from, written.error());
  }
}

// Two sockets know no end, so this is theirs. One timer that is set anew when it is due, whatever is sent.
Task<> until_idle(const Clock::time_point& last_seen, Clock::duration max_idle) {
  for (;;) {
    const auto left = last_seen + max_idle - Clock::now();
    if (left <= Clock::duration{}) co_return;
    co_await sleep_for(left);
  }
}

Task<> pump_both(Direction up, Direction down, FlowRecord& record, Clock::time_point& last_seen,
                 MemoryShare* memory) {
  co_await either(pump_datagrams(up, record, last_seen, memory),
                  pump_datagrams(down, record, last_seen, memory));
}

Task<> relay_datagrams(Direction up, Direction down, FlowRecord& record, Clock::duration max_idle,
                       MemoryShare* memory) {
  MemoryCharge charge(memory);
  charge.add_always(datagram_tasks);
  auto last_seen = Clock::now();
  const bool ended =
      co_await either(pump_both(up, down, record, last_seen, memory), until_idle(last_seen, max_idle));
  if (!ended) record.ended(FlowEnd::idle);
}

// One end goes on by itself with the other's kernel socket. True: it took everything.
bool hand_over(std::unique_ptr<Connection>& near, std::unique_ptr<Connection>& far,
               std::unique_ptr<FlowRecord>& record, Executor executor) {
  const auto try_one = [&](Connection& stack_end, std::unique_ptr<Connection>& kernel_end, bool far_asked) {
    if (stack_end.socket() >= 0 || kernel_end->socket() < 0) return false;
    const auto transport = kernel_end->transport();
    UniqueFd socket = kernel_end->release_socket();
    if (stack_end.carry_on(socket, record, far_asked)) return true;
    kernel_end = std::make_unique<SocketConnection>(executor, std::move(socket), transport);
    return false;
  };
  return try_one(*near, far, false) || try_one(*far, near, true);
}

}  // namespace

Task<> relay(std::unique_ptr<Connection> near, std::unique_ptr<Connection> far,
             std::unique_ptr<FlowRecord> record, Clock::duration max_idle, MemoryShare* memory) {
  const Executor executor = co_await asio::this_coro::executor;
  if (hand_over(near, far, record, executor)) co_return;
  const bool datagrams = near->transport() == Transport::datagram;
  if (!datagrams && record->asker != Asker::forwarded) record->relayed_from_guest();
  if (!datagrams && near->socket() >= 0 && far->socket() >= 0) {
    co_await relay_sockets(executor, near->release_socket(), far->release_socket(), *record);
    co_return;
  }
  ResetUnfinished state{*near, *far, datagrams, datagrams};
  const Direction up{*near,
                     *far,
                     state.up,
                     is_guest(record->asker),
                     &FlowRecord::moved_up,
                     FlowEnd::reset_by_source,
                     FlowEnd::reset_by_target};
  const Direction down{*far,
                       *near,
                       state.down,
                       record->asker == Asker::client,
                       &FlowRecord::moved_down,
                       FlowEnd::reset_by_target,
                       FlowEnd::reset_by_source};
  if (datagrams)
    co_await relay_datagrams(up, down, *record, max_idle, memory);
  else
    co_await both(pump(up, *record, memory), pump(down, *record, memory));
  record->ended(FlowEnd::closed);
}

}  // namespace nsrun
