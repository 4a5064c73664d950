#pragma once

#include <string>
#include <vector>

#include "host/services/wake/backend.h"

namespace nsrun {

// A unit of systemd, by systemctl(1): it is wherever systemd is, knows how to reach the system's and the
// user's manager, and asks polkit; our own D-Bus client would be one more thing to go wrong, for 10 ms.
class SystemdBackend final : public Backend {
 public:
  // `of_user`: the account's own manager, not the system's.
  SystemdBackend(Executor executor, std::string unit, bool of_user)
      : executor_(executor), unit_(std::move(unit)), of_user_(of_user) {}

  Task<Result<Status>> status() override;
  Task<Result<void>> start() override;
  Task<Result<void>> stop() override;
  Pace pace() const override { return {std::chrono::milliseconds(50), std::chrono::seconds(5)}; }

  // What `systemctl show -p LoadState -p ActiveState` wrote.
  static Result<Status> understand(const std::string& unit, const std::string& shown);

 private:
  Task<Result<std::string>> call(std::vector<std::string> words);

  const Executor executor_;
  const std::string unit_;
  const bool of_user_;
};

}  // namespace nsrun
