#pragma once

#include <functional>
#include <string>

#include "runtime/flow.h"
#include "runtime/shared_text.h"
#include "runtime/task.h"

namespace nsrun {

// What the asker's first bytes must agree with, once a flow is open (host/inspect).
enum class Inspection : std::uint8_t {
  none,
  // TLS (whatever else it carries passes): the ClientHello's server name is the flow's name. None, or an
  // encrypted one, does not agree. Of a flow without a name: permits_server has the say.
  name,
  tls,      // likewise, and it must be TLS
  http,     // HTTP/1.x, each request's Host is the flow's name, or without one its address
  refused,  // TLS: permits_server has the say. For flows that no rule is about, where names are refused
};

// What becomes of a request, and why.
struct Verdict {
  bool allowed = false;
  Refusal refusal = Refusal::drop;  // when not allowed
  Target target = {};               // when allowed: what to dial
  SharedText name = {};             // the host name the asker means, allowed or not; empty: an address
  SharedText rule = {};             // which rule decided, for the record
  bool asks = false;                // not decided yet: ask()
  bool logs = false;                // it is to be said as it begins
  Inspection inspection = Inspection::none;
  // Whether a server name (canonical) that is not the flow's own may be said. Empty: any may.
  std::function<bool(const std::string&)> permits_server = {};
};

// Who may go where. Policies are asked once for each flow, before anything is dialled; from any thread.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual Verdict judge(const FlowKey& key) = 0;
  // A flow that it has let pass, under `name` if it has one: its address may stand for another by now.
  virtual Verdict judge_again(const FlowKey& key, const SharedText& name) {
    (void)name;
    return judge(key);
  }
  // Which policy it is that judges now, counted from 0: it may have been replaced.
  virtual std::uint64_t generation() const { return 0; }
  // Has somebody else decide. `undecided` is judge's verdict, as it stands if the answer is yes.
  virtual Task<Verdict> ask(const FlowKey& key, Verdict undecided) {
    (void)key;
    co_return undecided;
  }
};

// Whatever asks may go where it asks to: for requests that the user made possible, as published ports are.
class AllowAll final : public Policy {
 public:
  explicit AllowAll(SharedText rule) : rule_(std::move(rule)) {}
  Verdict judge(const FlowKey& key) override {
    Verdict verdict{.allowed = true, .rule = rule_};
    verdict.target = {key.protocol, key.target, {}, key.source};
    return verdict;
  }

 private:
  const SharedText rule_;
};

}  // namespace nsrun
