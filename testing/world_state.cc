#include "testing/world_state.h"

namespace nsrun::testing {

WorldState::WorldState()
    : authority(CertificateAuthority::create("nsrun test authority").value()), trust(authority.pem()) {}

void WorldState::end_handlers() {
  bool ended = false;
  asio::co_spawn(loop, handlers.cancel_and_join(), [&](std::exception_ptr) { ended = true; });
  while (!ended) run_loop(1s);
}

std::shared_ptr<const RuleSet> WorldState::rules() const {
  auto rules = policy.rules;
  rules.insert(rules.end(), faults.begin(), faults.end());
  // Addresses that no guest reaches otherwise are reached where the world has something there.
  if (policy.otherwise == Action::allow)
    for (const auto& declaration : declared.all())
      if (declaration->match.host == Match::Host::network)
        rules.push_back({.action = Action::allow, .match = declaration->match, .where = "the world"});
  return std::make_shared<const RuleSet>(std::move(rules), policy.otherwise);
}

void WorldState::handler_threw(std::exception_ptr failure) {
  if (!thrown) thrown = std::move(failure);
}

bool WorldState::has(const Flow& flow) const {
  const auto knows = [this](const Subject& subject) {
    return declared.find(subject) || (beyond && beyond->knows(subject));
  };
  if (flow.dialled.empty()) return knows(subject_of(flow));
  // A redirect leads elsewhere. What was dialled reads as a match for it alone.
  const auto place = Match::parse(flow.dialled);
  if (!place) return false;
  const auto port = place->ports.is_all() ? std::uint16_t{0} : place->ports.first;
  if (place->is_by_name()) return knows({flow.protocol, place->name, std::nullopt, port});
  return knows({flow.protocol, {}, place->network.address, port});
}

void WorldState::run_loop(Clock::duration at_most) {
  if (loop.stopped()) loop.restart();
  loop.run_one_for(at_most);
}

}  // namespace nsrun::testing
