#include "host/carry/inspected_beginning.h"

#include <vector>

// Theory of operation
//
// Two tasks, as in a relay, and the opening says how much of what the guest sends may go on. The far side's
// bytes never wait: ssh and databases speak first.
//
// Once it agrees, a relay takes the ends over, so both tasks must stop with nothing in their hands: a write
// that is cut short is lost. A task at the head of its loop has nothing; one that waits in a read has nothing
// either, and can be cancelled. So whichever is at its head while the other reads ends both (is_over_). A
// read that ends just then all the same keeps what it got, and that is passed on before the relay begins.
//
// Whoever finds nobody writing to the far side writes, until nothing may go on (pass_on): bytes may be let go
// by what either side sent.

namespace nsrun {
namespace {

// Bytes, each way: what a connection costs on which nothing is said. A ClientHello takes a read or two.
constexpr std::size_t inspection_buffer = 4096;

class Beginning {
 public:
  Beginning(Executor executor, Connection& near, Connection& far, TlsOpening& opening, FlowRecord& record)
      : near_(near), far_(far), opening_(opening), record_(record), room_(executor), never_(executor) {}

  Task<bool> run();
  ~Beginning() {
    if (handed_over_) {
      record_.guest_finished();  // the relay counts for itself
    } else {
      near_.reset();
      far_.reset();
    }
  }

 private:
  Task<> from_guest();
  Task<> from_far();
  Task<> pass_on();
  Task<> to_guest(Bytes bytes);
  bool stops() { return is_over_ = broken_ || (opening_.agreed() && reading_guest_ && reading_far_); }
  void broke(FlowEnd how) {
    record_.ended(how);
    broken_ = is_over_ = true;
  }
  void heed(const Result<void>& judged);

  Connection& near_;
  Connection& far_;
  TlsOpening& opening_;
  FlowRecord& record_;
  Signal room_;   // the opening moved on, and may hold more
  Signal never_;  // a task that has nothing more to do waits here, as if it read
  bool reading_guest_ = false, reading_far_ = false;
  bool writing_ = false;  // to the far side
  bool is_over_ = false, broken_ = false, handed_over_ = false;
  std::vector<std::byte> down_;  // read from the far side
  std::size_t late_ = 0;         // bytes of it that came when all was over
};

Task<bool> Beginning::run() {
  record_.relayed_from_guest();
  co_await either(from_guest(), from_far());
  if (!broken_ && late_ > 0) co_await to_guest(Bytes(down_).first(late_));
  if (!broken_) co_await pass_on();
  handed_over_ = !broken_;
  co_return handed_over_;
}

void Beginning::heed(const Result<void>& judged) {
  if (judged || broken_) return;
  record_.why = judged.error().message();
  record_.allowed = false;
  record_.rejected = true;
  if (record_.name.empty()) record_.name = opening_.server_name();
  broke(FlowEnd::refused);
}

Task<> Beginning::from_guest() {
  std::vector<std::byte> buffer(inspection_buffer);
  for (;;) {
    reading_guest_ = true;
    if (stops()) co_return;
    if (!opening_.has_room()) {
      co_await room_.wait();
      continue;
    }
    const auto chunk = co_await near_.read(buffer);
    if (!chunk) co_return broke(FlowEnd::reset_by_source);
    heed(chunk->end ? opening_.guest_ended() : opening_.from_guest(Bytes(buffer).first(chunk->size)));
    if (is_over_) co_return;
    reading_guest_ = false;
    co_await pass_on();
    if (!chunk->end) continue;
    reading_guest_ = true;
    if (stops()) co_return;
    co_await never_.wait();
  }
}

Task<> Beginning::from_far() {
  down_.resize(inspection_buffer);
  for (;;) {
    reading_far_ = true;
    if (stops()) co_return;
    const auto chunk = co_await far_.read(down_);
    if (!chunk) co_return broke(FlowEnd::reset_by_target);
    late_ = is_over_ ? chunk->size : 0;
    if (is_over_) co_return;
    reading_far_ = false;
    heed(chunk->end ? opening_.far_ended() : opening_.from_far(Bytes(down_).first(chunk->size)));
    if (is_over_) co_return;
    room_.raise();
    co_await pass_on();
    if (!chunk->end) {
      co_await to_guest(Bytes(down_).first(chunk->size));
      continue;
    }
    near_.finish();
    reading_far_ = true;
    if (stops()) co_return;
    co_await never_.wait();
  }
}

Task<> Beginning::pass_on() {
  if (writing_) co_return;
  writing_ = true;
  for (auto bytes = opening_.take(); !bytes.empty(); bytes = opening_.take()) {
    const auto written = co_await far_.write(bytes);
    if (!written) co_return broke(FlowEnd::reset_by_target);
    record_.moved_up(bytes.size());
  }
  writing_ = false;
}

Task<> Beginning::to_guest(Bytes bytes) {
  const auto written = co_await near_.write(bytes);
  if (!written) co_return broke(FlowEnd::reset_by_source);
  record_.moved_down(bytes.size());
}

}  // namespace

Task<bool> inspect_beginning(Connection& near, Connection& far, TlsOpening& opening, FlowRecord& record) {
  Beginning beginning(co_await asio::this_coro::executor, near, far, opening, record);
  co_return co_await beginning.run();
}

}  // namespace nsrun
