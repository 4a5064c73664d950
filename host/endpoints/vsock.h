#pragma once

#include "host/endpoints/endpoint_url.h"
#include "host/flow/dialer.h"
#include "runtime/fd.h"

namespace nsrun {

// vsock(7): streams between a machine and those that run in it.

// A non-blocking listening socket. `port` 0 takes any that is free.
Result<UniqueFd> bind_vsock(std::uint32_t cid, std::uint32_t port);
std::uint32_t vsock_port_of(int socket);

// Every stream target is the one place `cid`, `port`.
class VsockDialer final : public Dialer {
 public:
  VsockDialer(Executor executor, std::uint32_t cid, std::uint32_t port)
      : executor_(executor), cid_(cid), port_(port) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  const std::uint32_t cid_, port_;
};

// Every stream target is port `port` of the virtual machine whose monitor listens at the unix socket `path`:
// we send "CONNECT <port>\n", it answers "OK <number>\n" (Firecracker's docs/vsock.md).
class HybridVsockDialer final : public Dialer {
 public:
  static constexpr auto answer_limit = 10s;  // then ETIMEDOUT

  HybridVsockDialer(Executor executor, std::string path, std::uint32_t port)
      : executor_(executor), path_(std::move(path)), port_(port) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  const std::string path_;
  const std::uint32_t port_;
};

}  // namespace nsrun
