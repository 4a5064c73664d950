#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "host/names/dns_message.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"
#include "runtime/task.h"

namespace nsrun {

// The answers to one query: one, unless it is to have none, or faults ask for more. `query` lives until the
// task ends.
using DnsAnswers = std::vector<DnsBytes>;
using DnsAnswerer = std::function<Task<DnsAnswers>(Bytes query, Transport transport)>;

// One guest connection to the name server: reads queries, has them answered at once and in any order, writes
// the answers one at a time.
class DnsConversation {
 public:
  // Queries read and not yet answered, on one connection. Past it the connection is not read on: queries wait
  // where it keeps what has arrived.
  static constexpr std::size_t max_outstanding = 256;
  // A stream without a new query for so long is closed; so is one whose guest takes no answer for so long.
  static constexpr auto idle_limit = 10s;

  // `guest` outlives this, and so does `memory`, which is charged for queries and their answers; null:
  // nothing is.
  DnsConversation(Executor executor, Connection& guest, DnsAnswerer answerer, MemoryShare* memory = nullptr,
                  Clock::duration idle = idle_limit);
  DnsConversation(const DnsConversation&) = delete;

  // Until the guest has left or was idle; no task is left then. Called once.
  Task<> run();

 private:
  // Held from the reading of a query until its answer is written, or it is certain that there is none.
  struct GiveBack {
    void operator()(DnsConversation* conversation) const {
      --conversation->outstanding_;
      conversation->room_.raise();
    }
  };
  using Place = std::unique_ptr<DnsConversation, GiveBack>;
  struct Query {
    DnsBytes message;
    MemoryCharge memory;  // for the query and its answers
  };
  struct Unwritten {
    DnsAnswers answers;
    Place place;
    MemoryCharge memory;
  };

  Task<> converse();
  Task<std::optional<Query>> next_query();
  Task<> answer_one(Query query, Place place);
  Task<> deliver(Unwritten answers);
  Task<> write_one(const DnsBytes& answer);
  Place take_place();
  bool full() const { return outstanding_ >= max_outstanding; }

  Connection& guest_;
  const DnsAnswerer answerer_;
  MemoryShare* const memory_;
  const Clock::duration idle_;
  std::size_t outstanding_ = 0;
  Signal room_;  // a place was given back
  std::deque<Unwritten> unwritten_;
  bool writing_ = false;  // one of the tasks writes, and takes along what the others add
  bool broken_ = false;   // the guest reset the connection, or we did
  Scope queries_;         // one task a query
};

}  // namespace nsrun
