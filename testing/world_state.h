#pragma once

#include <exception>
#include <string>
#include <vector>

#include "host/flow/dialer.h"
#include "host/policy/rule_set.h"
#include "host/tls/certificate_authority.h"
#include "testing/declarations.h"
#include "testing/flows.h"
#include "testing/rules.h"
#include "testing/trust.h"

namespace nsrun::testing {

// What is asked where nothing is declared.
class UndeclaredDialer : public Dialer {
 public:
  // There is something, even if it refuses.
  virtual bool knows(const Subject& subject) const = 0;
};

// What a world is made of, for the parts that work on it. All of one thread: the loop runs while the test
// waits for a program.
struct WorldState {
  WorldState();

  void end_handlers();  // also before the world itself ends
  // What holds now: policy, faults, and the addresses that are declared.
  std::shared_ptr<const RuleSet> rules() const;
  // The first that a handler throws fails the test.
  void handler_threw(std::exception_ptr failure);
  // Something is declared, or known beyond, where the flow led, or where it was refused to go.
  bool has(const Flow& flow) const;
  void trouble(std::string what) { troubles.push_back(std::move(what)); }
  // Runs the loop for a while, or until something happened.
  void run_loop(Clock::duration at_most);

  asio::io_context loop{1};
  Scope handlers{loop.get_executor()};
  CertificateAuthority authority;
  const TrustFolder trust;
  Declarations declared;
  Rules policy;
  std::vector<Rule> faults;
  UndeclaredDialer* beyond = nullptr;      // where nothing is declared: a recorder, a replay; null: nothing is there
  bool reaches_outside = false;  // a recording: the real network is there
  Flows flows;
  std::vector<std::string> troubles;
  std::exception_ptr thrown;
};

}  // namespace nsrun::testing
