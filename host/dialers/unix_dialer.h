#pragma once

#include <string>

#include "host/dialer.h"

namespace nsrun {

// Every stream target is the one unix socket at `path`.
class UnixDialer final : public Dialer {
 public:
  UnixDialer(Executor executor, std::string path);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  std::string path_;
};

}  // namespace nsrun
