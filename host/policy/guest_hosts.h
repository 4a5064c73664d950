#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/names/resolvers.h"
#include "host/policy/rule_set.h"

namespace nsrun {

// The hosts(5) of a sandbox under these rules: `host_file`, the host's, without the names that the guest has
// to look up with its name server, so that a flow to them is known by its name. Nothing where the file can
// stay as it is. `resolver`: the search list that programs inside use.
std::optional<std::string> guest_hosts(std::string_view host_file, const RuleSet& rules,
                                       const ResolverConfig& resolver);

}  // namespace nsrun
