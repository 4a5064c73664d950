#pragma once

#include <string>

#include "host/flow/dialer.h"

namespace nsrun {

// Every target of that transport is the one unix socket at `path`. A datagram socket of ours has a name of
// the kernel's choosing (autobind, unix(7)), so that it can be answered.
class UnixDialer final : public Dialer {
 public:
  UnixDialer(Executor executor, std::string path, Transport transport = Transport::stream);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  const std::string path_;
  const Transport transport_;
};

}  // namespace nsrun
