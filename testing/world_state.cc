#include "testing/world_state.h"

namespace nsrun::testing {

WorldState::WorldState()
    : authority(CertificateAuthority::create("nsrun test authority").value()), trust(authority.pem()) {}

void WorldState::end_handlers() {
  bool ended = false;
  asio::co_spawn(loop, handlers.cancel_and_join(), [&](std::exception_ptr) { ended = true; });
  while (!ended) run_loop(1s);
}

void WorldState::handler_threw(std::exception_ptr failure) {
  if (!thrown) thrown = std::move(failure);
}

void WorldState::run_loop(Clock::duration at_most) {
  if (loop.stopped()) loop.restart();
  loop.run_one_for(at_most);
}

}  // namespace nsrun::testing
