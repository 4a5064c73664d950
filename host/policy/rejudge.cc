#include "host/policy/rejudge.h"

namespace nsrun {
namespace {

// Nothing, where the name went to a dialer that takes names.
std::optional<IpAddress> address_dialled(const FlowRecord& flow) {
  const auto host = flow.dialled.find('/') + 1, port = flow.dialled.rfind(':');  // "tcp/[2001:db8::1]:80"
  if (host == 0 || port == flow.dialled.npos || port < host) return std::nullopt;
  auto text = std::string_view(flow.dialled).substr(host, port - host);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  return IpAddress::parse(text);
}

}  // namespace

std::optional<std::string> refused_now(Policy& policy, const FlowRecord& flow) {
  const Verdict verdict = policy.judge(flow.key);
  if (!verdict.allowed) return "the policy changed: " + verdict.rule.str();
  const auto address = address_dialled(flow);
  if (address && verdict.target.permits && !verdict.target.permits(*address))
    return "the policy changed: " + address->to_string() + " is refused";
  return std::nullopt;
}

}  // namespace nsrun
