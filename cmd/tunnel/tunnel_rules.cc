#include "cmd/tunnel/tunnel_rules.h"

namespace nsrun {

Result<std::shared_ptr<const RuleSet>> load_rules(const PolicyOptions& options, const CLI::App& app) {
  auto policy = options.finish(app);
  if (!policy) return policy.error();
  if (!policy->ask.empty() || !policy->learn.empty())
    return Error{
        "--ask and --learn are for a sandbox", {}, "write rules: --allow, --policy", ExitCode::usage};
  if (policy->sources.empty()) return std::shared_ptr<const RuleSet>();
  return policy->sources.load();
}

}  // namespace nsrun
