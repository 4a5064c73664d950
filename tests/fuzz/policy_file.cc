// A policy file is whatever somebody wrote: it is understood or refused with its place, and a policy of the
// rules that were understood is the same policy.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "host/policy/policy_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = parse_policy(text, "policy.yaml");
  if (!file) {
    if (file.error().exit != ExitCode::usage || !file.error().doing.starts_with("policy.yaml:")) std::abort();
    return 0;
  }
  for (const Rule& rule : file->rules) {
    const auto match = Match::parse(rule.match.to_string());
    if (!match || *match != rule.match || rule.where.empty()) std::abort();
    (void)rule.to_string();
  }
  return 0;
}
