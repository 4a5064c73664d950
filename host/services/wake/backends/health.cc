#include "host/services/wake/backends/health.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstdio>
#include <fstream>

#include "host/endpoints/endpoint_dialer.h"
#include "host/services/wake/backends/http_call.h"
#include "host/services/wake/backends/run_program.h"

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

bool has_taker(const char* path, const EndpointUrl& where) {
  std::ifstream table(path);
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line))
    if (takes_datagrams(line, where)) return true;
  return false;
}

class BoundProbe final : public Probe {
 public:
  explicit BoundProbe(const EndpointUrl& where) : where_(where) {}
  Task<bool> is_ready() override {
    co_return has_taker("/proc/self/net/udp", where_) || has_taker("/proc/self/net/udp6", where_);
  }
  Clock::duration interval() const override { return bound_interval; }

 private:
  const EndpointUrl where_;
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
    HttpCall call{*dialer_, target_, where_, host_, "GET", path_, "cannot ask for the health"};
    const auto status = co_await http_status(std::move(call), probe_limit);
    co_return status&&* status >= 200 && *status < 400;
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

// "12: 0100007F:1F90 00000000:0000 07 …": our end, theirs; an address is words of 32 bits in the machine's
// own order, a port is hexadecimal.
bool takes_datagrams(const std::string& row, const EndpointUrl& where) {
  char text[33];
  unsigned port = 0, far_port = 0;
  if (std::sscanf(row.c_str(), "%*s %32[0-9A-F]:%X %*[0-9A-F]:%X", text, &port, &far_port) != 3) return false;
  if (port != where.port || far_port != 0) return false;
  std::array<std::uint32_t, 4> words{};
  const std::size_t count = std::string_view(text).size() / 8;
  for (std::size_t i = 0; i < count; ++i)
    words[i] = static_cast<std::uint32_t>(std::stoul(std::string(text + 8 * i, 8), nullptr, 16));
  const auto own = count == 1 ? IpAddress::v4_from(words.data()) : IpAddress::v6_from(words.data());
  if (where.host == "localhost") return own.is_unspecified() || own.is_loopback();
  const auto wanted = IpAddress::parse(where.host);
  if (!wanted || own == *wanted) return wanted.has_value();
  return own.is_unspecified() && (wanted->is_v4() || own.is_v6());
}

Result<std::unique_ptr<Probe>> connect_probe(const EndpointUrl& where, Executor executor,
                                             Clock::duration stays) {
  auto dialer = endpoint_dialer(where, executor);
  if (!dialer) return dialer.error();
  return std::make_unique<ConnectProbe>(std::move(*dialer), where.target(), stays);
}

std::unique_ptr<Probe> bound_probe(const EndpointUrl& where) { return std::make_unique<BoundProbe>(where); }

Result<std::unique_ptr<Probe>> http_probe(const std::string& url, const EndpointUrl* usual,
                                          Executor executor) {
  const auto wrong = [&](const char* what) {
    return Error{"the probe '" + url + "' " + what,
                 {},
                 "write http://HOST:PORT/PATH, or http:///PATH for what is dialled",
                 ExitCode::usage};
  };
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || parsed->has_fragment() || parsed->has_userinfo()) return wrong("is not a URL");
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

// What happens while somebody is asked makes the answer one of the past: it counts, and is not kept.
Task<Result<Backend::Status>> ProbedBackend::status() {
  const auto since = changes_;
  if (ready_ || Clock::now() >= trusted_until_) {
    auto seen = co_await inner_->status();
    const bool runs = seen && *seen == Status::running;
    if (!runs) {
      trusted_until_ = {};
      ready_ = ready_ && !seen;  // one that cannot be asked may run on
      co_return seen;
    }
    if (since == changes_) trusted_until_ = Clock::now() + inner_->pace().starting;
  }
  if (ready_) co_return Status::running;
  const bool ready = co_await probe_->is_ready();
  ready_ = ready && since == changes_;
  co_return ready ? Status::running : Status::starting;
}

void ProbedBackend::ask_anew() {
  ++changes_;
  ready_ = false;
  trusted_until_ = {};
}

Task<Result<void>> ProbedBackend::start() {
  ask_anew();
  co_return co_await inner_->start();
}

Task<Result<void>> ProbedBackend::stop() {
  ask_anew();
  co_return co_await inner_->stop();
}

Task<> ProbedBackend::watch(std::function<void()> changed) {
  std::function<void()> told = [this, changed = std::move(changed)] {
    ask_anew();
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
