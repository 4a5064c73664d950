#pragma once

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/policy/rule_index.h"
#include "runtime/flow_record.h"

namespace nsrun::testing {

// What became of one flow of a program's.
struct Flow {
  Protocol protocol = Protocol::tcp;
  std::string name;       // canonical; empty: the program used an address
  Endpoint target;        // as the program addressed it; for a name its address stands for that name only
  bool declared = false;  // the world says what happens there (World::on, refuse, …)
  bool allowed = false;   // by the policy
  std::string rule;       // that decided
  std::string dialled;    // what was dialled in its place, after redirects
  std::string error;      // why it failed
  FlowEnd end = FlowEnd::open;
  std::uint64_t bytes_up = 0, bytes_down = 0;  // up: from the program
  std::chrono::milliseconds lasted{0};

  // Somebody answered it.
  bool connected() const { return end != FlowEnd::refused && end != FlowEnd::failed; }
  std::string to_string() const;  // "tcp/example.org:443 closed, 120 up, 3400 down (rule default)"
};

Flow flow_of(const FlowRecord& record);
// What rules and declarations are matched on. `flow` outlives it.
Subject subject_of(const Flow& flow);

// Flows in the order in which they ended.
class Flows {
 public:
  Flows() = default;
  explicit Flows(std::vector<Flow> flows) : flows_(std::move(flows)) {}
  void add(Flow flow) { flows_.push_back(std::move(flow)); }

  // Those that a rule about `match` would be about: "api.example.com", "*.example.com:443", "udp/192.0.2.1".
  // Throws ErrorException for what is no match.
  Flows to(std::string_view match) const;
  Flows connected() const;
  Flows refused() const;     // by the policy, or by the world: nobody answered
  Flows undeclared() const;  // to where the world has nothing
  std::uint64_t bytes_up() const;
  std::uint64_t bytes_down() const;
  std::set<std::string> hosts() const;  // the names, or addresses, that were tried

  std::size_t size() const { return flows_.size(); }
  bool empty() const { return flows_.empty(); }
  auto begin() const { return flows_.begin(); }
  auto end() const { return flows_.end(); }
  const Flow& operator[](std::size_t i) const { return flows_.at(i); }
  std::string to_string() const;  // one on each line: for the message of a test that failed

 private:
  std::vector<Flow> flows_;
};

}  // namespace nsrun::testing
