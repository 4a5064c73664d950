#pragma once

#include <map>
#include <optional>
#include <vector>

#include "host/faults/async_timer.h"
#include "host/faults/faults.h"
#include "host/faults/token_bucket.h"
#include "runtime/connection.h"

namespace nsrun {

// What travels on one way of a flow: bytes (a datagram, or some of a stream), the stream's end, or the news
// that the flow broke.
struct InTransit {
  enum class Kind : std::uint8_t { bytes, end, failure } kind = Kind::bytes;
  std::vector<std::byte> bytes = {};
  Error error = {};  // of a failure
};

// Bytes under way in all faulty flows of one loop. Past `ample` each way of a flow may hold only `least`.
struct TransitBudget {
  static constexpr std::size_t ample = 256 << 20;
  std::size_t bytes = 0;
};

// One way of a flow that has faults: what enters leaves later, slower, in other pieces, in another order,
// changed, or not at all. One enters and one leaves at a time.
class FaultWay {
 public:
  static constexpr std::size_t least = 64 << 10, most = 16 << 20;  // bytes that one way of a flow holds

  // `which`: the way's part of a spec. All references outlive this.
  FaultWay(Executor executor, Transport transport, const Faults& faults, WayFaults FaultSpec::*which,
           SeededRandom chance, TransitBudget& under_way);
  ~FaultWay();
  FaultWay(const FaultWay&) = delete;

  // ---- where it begins
  Task<> room();  // until more may enter (a stream; datagrams that find no room are lost)
  void enter(Bytes bytes);
  void enter_end();
  void enter_failure(Error error);

  // ---- where it ends
  // What comes next, once it is due: a datagram whole, of a stream at most `size` bytes.
  Task<InTransit> leave(std::size_t size);
  std::uint64_t passed() const { return passed_; }  // bytes that have left

  void cut(InTransit last);  // what was under way is lost; `last` is all that comes from here on, at once
  void look_again();         // the spec is another one
  bool is_broken() const { return broken_ || last_; }  // nothing that enters would arrive

 private:
  using Line = std::multimap<Clock::time_point, InTransit>;  // by when it is due

  std::size_t limit(const WayFaults& way) const;
  Clock::time_point due(const WayFaults& way);
  void enter_datagram(const WayFaults& way, Bytes bytes, bool swallowed);
  Line::iterator insert(Clock::time_point when, InTransit what);
  void overtake(Line::iterator late, Clock::time_point when);
  Task<> arrived();                                        // current_ is there, or it is cut
  Task<> may_pass();                                       // no stall, no black hole
  Clock::time_point stalled_until(const FaultSpec& spec);  // now or earlier: it is not
  Task<> shape(std::size_t size);                          // bandwidth, and the pause between slices
  std::size_t piece(std::size_t size);                     // of current_, that passes at once
  Task<> until(Clock::time_point when);                    // or it is cut
  InTransit take(std::size_t size);

  const Transport transport_;
  const Faults& faults_;
  WayFaults FaultSpec::*const which_;
  SeededRandom chance_;
  TransitBudget& under_way_;
  const Clock::time_point began_ = Clock::now();

  Line line_;
  std::optional<Line::iterator> late_;  // the datagram that waits to be overtaken
  Clock::time_point last_due_{};
  std::size_t held_ = 0;  // bytes, of line_ and current_
  bool ended_ = false;    // nothing more may enter
  bool broken_ = false;   // likewise, and the stream broke
  AsyncTimer room_;

  std::optional<InTransit> current_;  // leaving
  Clock::time_point came_{};          // when current_ was due, or could pass again
  std::size_t gone_ = 0;              // bytes of current_ that have left
  Clock::time_point last_slice_{};
  std::uint64_t passed_ = 0;
  std::optional<Stall> stall_;  // that passed_ has reached, and when
  Clock::time_point stall_began_{};
  TokenBucket bucket_;
  std::optional<InTransit> last_;
  AsyncTimer leave_;
};

}  // namespace nsrun
