#include "host/wake/backends/health.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "host/endpoints/endpoint_dialer.h"
#include "host/wake/backends/http_call.h"
#include "host/wake/backends/run_program.h"

namespace nsrun {
namespace {

constexpr auto probe_limit = 2s;  // then it is not ready
// A refused connection on this machine costs some 20 us; who waits should not wait for us.
constexpr auto connect_interval = 5ms;
constexpr auto bound_interval = 5ms;
constexpr auto http_interval = 20ms;
constexpr auto command_interval = 50ms;

class ConnectProbe final : public Probe {
 public:
  ConnectProbe(std::unique_ptr<Dialer> dialer, Target target, Clock::duration stays)
      : dialer_(std::move(dialer)), target_(std::move(target)), stays_(stays) {}
  Task<bool> is_ready() override {
    const auto dialled = co_await within(probe_limit, dialer_->dial(target_));
    if (!dialled || !*dialled) co_return false;
    if (stays_ == Clock::duration{} || (**dialled)->transport() == Transport::datagram) co_return true;
    std::array<std::byte, 1> first;
    const auto said = co_await within(stays_, (**dialled)->read(first));
    co_return !said || (*said && !(*said)->end);
  }
  Clock::duration interval() const override { return connect_interval; }

 private:
  const std::unique_ptr<Dialer> dialer_;
  const Target target_;
  const Clock::duration stays_;
};

// One row of /proc/net/udp for each socket: "12: 0100007F:1F90 00000000:0000 07 …", the port in hexadecimal.
bool has_row_of(const char* path, std::uint32_t port) {
  std::ifstream table(path);
  std::string line, number, local;
  char hexadecimal[8];
  std::snprintf(hexadecimal, sizeof hexadecimal, ":%04X", port);
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream row(line);
    if (row >> number >> local && local.ends_with(hexadecimal)) return true;
  }
  return false;
}

class BoundProbe final : public Probe {
 public:
  explicit BoundProbe(std::uint32_t port) : port_(port) {}
  Task<bool> is_ready() override {
    co_return has_row_of("/proc/self/net/udp", port_) || has_row_of("/proc/self/net/udp6", port_);
  }
  Clock::duration interval() const override { return bound_interval; }

 private:
  const std::uint32_t port_;
};

class HttpProbe final : public Probe {
 public:
  HttpProbe(std::unique_ptr<Dialer> dialer, const EndpointUrl& where, std::string host, std::string path)
      : dialer_(std::move(dialer)),
        target_(where.target()),
        where_(where.to_string()),
        host_(std::move(host)),
        path_(std::move(path)) {}
  Task<bool> is_ready() override {
    HttpCall call{*dialer_, target_, where_, host_, "GET", path_};
    const auto answer = co_await http_call(std::move(call), probe_limit);
    co_return answer && answer->status >= 200 && answer->status < 400;
  }
  Clock::duration interval() const override { return http_interval; }

 private:
  const std::unique_ptr<Dialer> dialer_;
  const Target target_;
  const std::string where_, host_, path_;
};

class CommandProbe final : public Probe {
 public:
  CommandProbe(std::string command, Executor executor) : executor_(executor), command_(std::move(command)) {}
  Task<bool> is_ready() override {
    std::vector<std::string> argv = {"/bin/sh", "-c", command_};
    const auto done = co_await run_program(executor_, std::move(argv), probe_limit);
    co_return done.has_value() && done->status == 0;
  }
  Clock::duration interval() const override { return command_interval; }

 private:
  const Executor executor_;
  const std::string command_;
};

}  // namespace

Result<std::unique_ptr<Probe>> connect_probe(const EndpointUrl& where, Executor executor,
                                             Clock::duration stays) {
  auto dialer = endpoint_dialer(where, executor);
  if (!dialer) return dialer.error();
  return std::make_unique<ConnectProbe>(std::move(*dialer), where.target(), stays);
}

std::unique_ptr<Probe> bound_probe(const EndpointUrl& where) {
  return std::make_unique<BoundProbe>(where.port);
}

Result<std::unique_ptr<Probe>> http_probe(const std::string& url, const EndpointUrl* usual,
                                          Executor executor) {
  const auto wrong = [&](const char* what) {
    return Error{"the probe '" + url + "' " + what,
                 {},
                 "write http://HOST:PORT/PATH, or http:///PATH for what is dialled",
                 ExitCode::usage};
  };
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || parsed->has_fragment() || parsed->has_userinfo()) return wrong("is no URL");
  const std::string authority(parsed->encoded_host_and_port()), path(parsed->encoded_target());
  if (authority.empty() && !usual) return wrong("has no host, and no stream is dialled");
  const std::string port = parsed->has_port() ? "" : ":80";
  const auto where =
      authority.empty() ? Result<EndpointUrl>(*usual) : EndpointUrl::parse("tcp://" + authority + port);
  if (!where) return wrong("names no host");
  auto dialer = endpoint_dialer(*where, executor);
  if (!dialer) return dialer.error();
  const std::string host = authority.empty() ? "localhost" : authority;
  return std::make_unique<HttpProbe>(std::move(*dialer), *where, host, path.empty() ? "/" : path);
}

std::unique_ptr<Probe> command_probe(std::string command, Executor executor) {
  return std::make_unique<CommandProbe>(std::move(command), executor);
}

Task<Result<Backend::Status>> ProbedBackend::status() {
  if (ready_ || Clock::now() >= trusted_until_) {
    auto seen = co_await inner_->status();
    const bool runs = seen && *seen == Status::running;
    trusted_until_ = runs ? Clock::now() + inner_->pace().starting : Clock::time_point{};
    if (!runs) {
      ready_ = ready_ && !seen;  // one that cannot be asked may run on
      co_return seen;
    }
  }
  if (!ready_) ready_ = co_await probe_->is_ready();
  co_return ready_ ? Status::running : Status::starting;
}

Task<> ProbedBackend::watch(std::function<void()> changed) {
  std::function<void()> told = [this, changed = std::move(changed)] {
    trusted_until_ = {};
    changed();
  };
  co_await inner_->watch(std::move(told));
}

Backend::Pace ProbedBackend::pace() const {
  auto pace = inner_->pace();
  pace.starting = std::min(pace.starting, probe_->interval());
  return pace;
}

}  // namespace nsrun
