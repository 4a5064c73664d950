#include "cmd/policy/policy_command.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "cmd/policy/policy_timing.h"
#include "cmd/reporter.h"
#include "host/policy/explain.h"
#include "host/policy/policy_sources.h"

namespace nsrun {
namespace {

constexpr auto usage_text = R"(nsrun policy checks and explains policy files.

  nsrun policy check [--time] FILE...     are the files valid; with --time, how
                                          long loading and judging take
  nsrun policy explain [--json] FILE... SUBJECT
                                          what happens to a flow, and why:
                                          tcp/HOST:PORT, udp/HOST:PORT,
                                          icmp/HOST, dns/NAME

Status: 0 valid, allowed; 1 not allowed; 2 invalid. See nsrun-policy(5).
)";

constexpr int refused = 1;

int misused_policy(std::string what) {
  return fail({std::move(what), {}, "nsrun policy --help says how", ExitCode::usage});
}

Result<std::shared_ptr<const RuleSet>> load(const std::vector<std::string>& paths) {
  PolicySources sources;
  for (const auto& path : paths) sources.parts.emplace_back(PolicySources::File{path});
  return sources.load();
}

int check(std::vector<std::string> paths) {
  const bool timed = std::erase(paths, "--time") > 0;
  if (paths.empty()) return misused_policy("policy check takes one or more files");
  const auto began = std::chrono::steady_clock::now();
  const auto rules = load(paths);
  const auto loaded = std::chrono::steady_clock::now() - began;
  if (!rules) return fail(rules.error());
  std::printf("%zu rules, default %s\n", (*rules)->rules().size(),
              std::string(to_string((*rules)->default_action())).c_str());
  if (!timed) return 0;
  using std::chrono::milliseconds;
  std::printf("loaded in %lld ms; a flow is judged in %lld ns\n",
              static_cast<long long>(std::chrono::duration_cast<milliseconds>(loaded).count()),
              static_cast<long long>(time_to_judge(*rules).count()));
  return 0;
}

void print_text(const Explanation& explanation) {
  const auto line = [](const char* word, const std::string& text) {
    if (!text.empty()) std::printf("  %-9s%s\n", word, text.c_str());
  };
  std::printf("%s: %s\n", explanation.subject.c_str(), explanation.verdict.c_str());
  line("by", explanation.where.empty() ? explanation.rule : explanation.where + ": " + explanation.rule);
  line("because", explanation.because);
  line("dialled", explanation.target);
  for (const auto& condition : explanation.conditions) line("and", condition);
  for (const auto& other : explanation.passed_over) line("not by", other);
}

void print_json(const Explanation& explanation) {
  const auto list = [](const std::vector<std::string>& texts) {
    return boost::json::array(texts.begin(), texts.end());
  };
  const boost::json::object object{{"subject", explanation.subject},
                                   {"verdict", explanation.verdict},
                                   {"rule", explanation.rule},
                                   {"where", explanation.where},
                                   {"because", explanation.because},
                                   {"target", explanation.target},
                                   {"conditions", list(explanation.conditions)},
                                   {"passed_over", list(explanation.passed_over)}};
  std::printf("%s\n", boost::json::serialize(object).c_str());
}

int explain_command(std::vector<std::string> words) {
  const bool as_json = std::erase(words, "--json") > 0;
  if (words.size() < 2) return misused_policy("policy explain takes one or more files, and what to explain");
  const std::string subject = std::move(words.back());
  words.pop_back();
  const auto rules = load(words);
  if (!rules) return fail(rules.error());
  const auto explanation = explain(*rules, subject);
  if (!explanation) return fail(explanation.error());
  as_json ? print_json(*explanation) : print_text(*explanation);
  return explanation->verdict == "allow" ? 0 : refused;
}

}  // namespace

const char* policy_help() { return usage_text; }

int policy_command(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  for (const auto& word : words)
    if (word == "-h" || word == "--help") return std::fputs(usage_text, stdout) < 0;
  for (const auto& word : words)
    if (word.starts_with("-") && word != "--json" && word != "--time")
      return misused_policy("policy has no option '" + word + "': it looks at files alone");
  if (words.empty()) return misused_policy("policy check, or policy explain?");
  const std::string what = std::move(words.front());
  words.erase(words.begin());
  if (what == "explain") return explain_command(std::move(words));
  if (what != "check") return misused_policy("there is no policy " + what);
  return check(std::move(words));
}

}  // namespace nsrun
