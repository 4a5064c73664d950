#pragma once

#include "host/endpoints/endpoint_url.h"
#include "host/flow/policy.h"

namespace nsrun {

// LISTEN=DIAL, both endpoints: clients of the one are connected to the other.
struct Forward {
  EndpointUrl listen, dial;

  // "tcp://127.0.0.1:8080=unix:///run/app.sock". Errors have ExitCode::usage.
  static Result<Forward> parse(std::string_view text);
  std::string to_string() const { return listen.to_string() + "=" + dial.to_string(); }
};

// Whatever asks goes to one endpoint, which the user chose.
class AllowTo final : public Policy {
 public:
  AllowTo(const EndpointUrl& where, SharedText rule)
      : target_(where.target()), via_(where.is_guest() ? "" : where.text), rule_(std::move(rule)) {}
  Verdict judge(const FlowKey& key) override {
    Verdict verdict{.allowed = true, .target = target_, .rule = rule_};
    verdict.target.source = key.source;
    verdict.target.via = via_;
    return verdict;
  }

 private:
  const Target target_;
  const std::string via_;
  const SharedText rule_;
};

}  // namespace nsrun
