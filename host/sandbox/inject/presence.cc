#include "host/sandbox/inject/presence.h"

#include <unistd.h>

namespace nsrun {

void Presence::go_away() {
  if (absences_++ == 0) here_.unlock();
}

void Presence::come_back() {
  if (--absences_ > 0) return;
  here_.lock();
  if (!written_off_) return;
  here_.unlock();
  for (;;) ::pause();
}

bool Presence::write_off() {
  const std::unique_lock hold(here_, std::try_to_lock);
  if (hold) written_off_ = true;
  return static_cast<bool>(hold);
}

}  // namespace nsrun
