#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "host/policy/fault_registry.h"
#include "host/policy/reloaded_file.h"
#include "host/policy/rule_set.h"

namespace nsrun {

// What a policy is made of: rules and files, in the order in which they were given. Kept, it can be loaded
// again.
//
// The rules of a file stand where the file stands. What no rule decides is decided by the first of these:
// `otherwise`; `asks`; `learns`; the last file that has a default; reject, where a file was given or anything
// is allowed; allow.
struct PolicySources {
  struct File {
    std::string path;
    std::shared_ptr<const ReloadedFile> held = {};  // null: whatever is at the path when it is read
  };

  std::vector<std::variant<Rule, File>> parts;
  std::optional<Action> otherwise;  // said beside the files
  bool asks = false;                // somebody is there to ask
  bool learns = false;              // everything is allowed, to see what is needed
  std::shared_ptr<FaultRegistry> faults = std::make_shared<FaultRegistry>();  // of all loads; never null

  // Nothing was said: what holds is up to whoever has no policy.
  bool empty() const { return parts.empty() && !otherwise && !asks && !learns; }
  bool has_files() const;
  std::vector<std::string> file_paths() const;
  // From now on each file is read only as ReloadedFile allows. An error has ExitCode::usage.
  Result<void> hold_files();
  // Reads the files, now. An error has ExitCode::usage.
  Result<std::shared_ptr<const RuleSet>> load() const;
};

}  // namespace nsrun
