#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/faults/faults.h"
#include "host/policy/rule.h"

namespace nsrun {

// The faults of a policy that is loaded again and again. A rule with the match of one that was there before
// has that one's faults, made what it now says: so they change for flows that live, and the flow numbers go
// on. For one thread.
class FaultRegistry {
 public:
  std::uint64_t seed = Faults::usual_seed;  // of all faults

  // `rules` are in force from here on, and no others.
  void adopt(std::vector<Rule>& rules);

 private:
  std::map<std::string, std::shared_ptr<Faults>> by_match_;  // as Match::to_string has it
};

}  // namespace nsrun
