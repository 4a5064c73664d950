#include "testing/declarations.h"

#include <algorithm>

namespace nsrun::testing {
namespace {

constexpr std::uint16_t https_port = 443;

}  // namespace

bool Declaration::is_tls(Protocol protocol, std::uint16_t port) const {
  if (protocol != Protocol::tcp) return false;
  return match.content == Match::Content::tls || (port == https_port && !clear);
}

void Declarations::declare(std::string_view match, Declaration declaration) {
  declaration.match = Match::parse(match).value();
  if (declaration.match.is_of_queries())
    throw ErrorException({"'" + std::string(match) + "' is about questions, where flows are declared"});
  const bool answers =
      declaration.kind == Declaration::Kind::stream || declaration.kind == Declaration::Kind::http;
  declaration.clear = match.starts_with("tcp/") || match.starts_with("http/");
  if (answers && !declaration.match.protocol) declaration.match.protocol = Protocol::tcp;

  const auto same = std::find_if(declared_.begin(), declared_.end(),
                                 [&](const auto& known) { return known->match == declaration.match; });
  if (same == declared_.end())
    index_.add(static_cast<RuleIndex::Position>(declared_.size()), declaration.match);
  auto shared = std::make_shared<const Declaration>(std::move(declaration));
  if (same != declared_.end())
    *same = std::move(shared);
  else
    declared_.push_back(std::move(shared));
}

std::shared_ptr<const Declaration> Declarations::find(const Subject& subject) const {
  const auto position = index_.first(subject);
  return position ? declared_[*position] : nullptr;
}

}  // namespace nsrun::testing
