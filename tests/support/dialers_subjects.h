#pragma once

#include <filesystem>
#include <optional>

#include "host/dialers/direct_dialer.h"
#include "host/dialers/function_dialer.h"
#include "host/flow/dialer.h"
#include "host/tls/certificate_authority.h"
#include "host/tls/tls_context.h"
#include "tests/support/dialers_proxies.h"

// What the conformance suite needs of one kind of dialer: the dialer, and far sides that it can reach.

namespace nsrun::test {

class Subject {
 public:
  explicit Subject(Loop& loop) : loop_(loop) {}
  virtual ~Subject() = default;

  // Made on first use, after the far side.
  virtual Dialer& dialer() = 0;
  // A target where each connection meets `behaviour`.
  virtual Target serve(Protocol protocol, Behaviour behaviour);
  // A target that refuses, and what the dialer then says.
  virtual Target refusing();
  virtual int refusal() const { return ECONNREFUSED; }
  // A target whose answer never comes; nothing for a dialer that never waits.
  virtual std::optional<Target> silent();
  virtual bool carries_datagrams() const { return false; }
  virtual bool is_kernel_socket() const { return true; }

 protected:
  Loop& loop_;
  std::vector<UniqueFd> held_;
  std::unique_ptr<Dialer> dialer_;
};

class Direct final : public Subject {
 public:
  using Subject::Subject;
  Dialer& dialer() override;
  bool carries_datagrams() const override { return true; }
};

class Socks5 final : public Subject {
 public:
  explicit Socks5(Loop& loop) : Subject(loop), end_associations(loop.executor()) {}
  Dialer& dialer() override;
  std::optional<Target> silent() override;
  bool carries_datagrams() const override { return true; }

  ProxyOptions options;
  ProxySeen seen;
  Signal end_associations;
  std::optional<Credentials> credentials;
};

class HttpConnect final : public Subject {
 public:
  using Subject::Subject;
  Dialer& dialer() override;
  std::optional<Target> silent() override;
  int refusal() const override { return EHOSTUNREACH; }  // HTTP has no word for refused; proxies say 502

  ProxyOptions options;
  ProxySeen seen;
  std::optional<Credentials> credentials;
};

class Unix final : public Subject {
 public:
  explicit Unix(Loop& loop);
  ~Unix() override;
  Dialer& dialer() override;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  Target refusing() override;
  std::optional<Target> silent() override;
  const std::string& path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::string path_;
};

// Port 52 of a virtual machine, by way of its monitor.
class HybridVsock final : public Subject {
 public:
  explicit HybridVsock(Loop& loop) : Subject(loop), files_(loop) {}
  Dialer& dialer() override;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  Target refusing() override;
  std::optional<Target> silent() override;

 private:
  std::string path();
  Unix files_;
};

// An endpoint's, tcp://, whatever the target.
class FixedEndpoint final : public Subject {
 public:
  using Subject::Subject;
  Dialer& dialer() override;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  Target refusing() override;
  std::optional<Target> silent() override;

 private:
  Target dialled_;
};

class Tls final : public Subject {
 public:
  explicit Tls(Loop& loop);
  Dialer& dialer() override;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  bool is_kernel_socket() const override { return false; }

  static constexpr auto server_name = "server.example";
  CertificateAuthority authority;
  std::unique_ptr<TlsContext> server;
};

class Function final : public Subject {
 public:
  using Subject::Subject;
  Dialer& dialer() override;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  Target refusing() override { return {}; }
  std::optional<Target> silent() override { return std::nullopt; }
  bool carries_datagrams() const override { return true; }
  bool is_kernel_socket() const override { return false; }

 private:
  Result<Task<>> meet(std::unique_ptr<Connection> near);
  Behaviour behaviour_;
};

// Direct, by way of a FaultDialer.
class Faultless : public Subject {
 public:
  using Subject::Subject;
  Dialer& dialer() override;
  bool carries_datagrams() const override { return true; }

 private:
  DirectDialer direct_{loop_.executor()};
  Counters totals_;
};

// Direct, with 2 ms each way.
class Slow final : public Faultless {
 public:
  using Faultless::Faultless;
  Target serve(Protocol protocol, Behaviour behaviour) override;
  bool is_kernel_socket() const override { return false; }
};

}  // namespace nsrun::test
