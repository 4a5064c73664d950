#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host/policy/rule.h"
#include "runtime/task.h"

namespace nsrun {

// Whether a flow may go where it wants to.
struct Question {
  Protocol protocol = Protocol::tcp;
  std::string name;        // canonical; empty: the address says all
  IpAddress address;       // meaningless beside a name
  std::uint16_t port = 0;  // 0: an echo
  auto operator<=>(const Question&) const = default;
};

struct Answer {
  Action action = Action::deny;  // allow, deny or reject
  bool always = false;           // whenever this is asked again
};

// Gives the answer to a question; from any thread, at any time, once. Later calls are ignored.
using Reply = std::function<void(Answer)>;
// Asks somebody. Called on the threads of all workers, maybe at once; must not block.
using AskFunction = std::function<void(const Question&, Reply)>;

// Has somebody else decide about flows: asks what is not known yet, and the same only once, however many
// flows wait for it. No answer within the limit means deny. For any thread.
class ApprovalQueue {
 public:
  using Warn = std::function<void(const std::string&)>;
  // `warn` hears once that an answer did not come.
  ApprovalQueue(AskFunction ask, Clock::duration limit, Warn warn);

  // On the caller's loop, which nothing blocks.
  Task<Answer> ask(Question question);

 private:
  struct Waiter;
  struct Questions;

  const AskFunction ask_;
  const Clock::duration limit_;
  const Warn warn_;
  const std::shared_ptr<Questions> questions_;
};

}  // namespace nsrun
