#include "host/policy/policy_sources.h"

#include <algorithm>
#include <iterator>

#include "host/policy/policy_file.h"

namespace nsrun {
namespace {

bool allows(const Rule& rule) { return rule.action == Action::allow; }

Result<PolicyFile> read(const PolicySources::File& file) {
  if (!file.held) return read_policy(file.path);
  auto held = file.held->open();
  if (!held) return held.error();
  return read_policy(file.path, std::move(*held));
}

}  // namespace

bool PolicySources::has_files() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.index() == 1; });
}

std::vector<std::string> PolicySources::file_paths() const {
  std::vector<std::string> paths;
  for (const auto& part : parts)
    if (const auto* file = std::get_if<File>(&part)) paths.push_back(file->path);
  return paths;
}

Result<void> PolicySources::hold_files() {
  for (auto& part : parts) {
    auto* const file = std::get_if<File>(&part);
    if (!file) continue;
    auto held = ReloadedFile::hold(file->path);
    if (!held) return held.error();
    file->held = std::make_shared<const ReloadedFile>(std::move(*held));
  }
  return {};
}

Result<std::shared_ptr<const RuleSet>> PolicySources::load() const {
  std::vector<Rule> rules;
  std::optional<Action> of_files;
  for (const auto& part : parts) {
    if (const auto* rule = std::get_if<Rule>(&part)) {
      rules.push_back(*rule);
      continue;
    }
    auto file = read(std::get<File>(part));
    if (!file) return file.error();
    std::move(file->rules.begin(), file->rules.end(), std::back_inserter(rules));
    if (file->otherwise) of_files = file->otherwise;
  }
  // A list of what is allowed allows nothing else, and says so at once rather than by silence.
  const bool is_list = has_files() || std::any_of(rules.begin(), rules.end(), allows);
  const Action decided = otherwise  ? *otherwise
                         : asks     ? Action::ask
                         : learns   ? Action::allow
                         : of_files ? *of_files
                         : is_list  ? Action::reject
                                    : Action::allow;
  faults->adopt(rules);
  return std::make_shared<const RuleSet>(std::move(rules), decided);
}

}  // namespace nsrun
