#include "tests/support/dialers_subjects.h"

#include <sys/socket.h>

#include "host/dialers/direct_dialer.h"
#include "host/dialers/fault_dialer.h"
#include "host/dialers/http_connect_dialer.h"
#include "host/dialers/socks5_dialer.h"
#include "host/dialers/unix_dialer.h"

namespace nsrun::test {

Target Subject::serve(Protocol protocol, Behaviour behaviour) {
  const bool stream = protocol == Protocol::tcp;
  auto socket = stream ? listening_socket(loopback4) : bound_socket(loopback4, SOCK_DGRAM);
  const Target target{protocol, bound_endpoint(socket.get()), {}};
  if (stream)
    serve_stream(loop_, std::move(socket), std::move(behaviour));
  else
    serve_datagrams(loop_, std::move(socket), std::move(behaviour));
  return target;
}

Target Subject::refusing() {
  held_.push_back(bound_socket(loopback4, SOCK_STREAM));
  return {Protocol::tcp, bound_endpoint(held_.back().get()), {}};
}

std::optional<Target> Subject::silent() {
  auto listener = listening_socket(loopback4, 0);
  const Target target{Protocol::tcp, bound_endpoint(listener.get()), {}};
  held_ = fill_backlog(listener.get());
  held_.push_back(std::move(listener));
  return target;
}

Dialer& Direct::dialer() {
  if (!dialer_) dialer_ = std::make_unique<DirectDialer>(loop_.executor());
  return *dialer_;
}

Dialer& Socks5::dialer() {
  if (!dialer_)
    dialer_ = std::make_unique<Socks5Dialer>(std::make_unique<DirectDialer>(loop_.executor()),
                                             start_socks5_proxy(loop_, options, seen, end_associations),
                                             credentials);
  return *dialer_;
}

std::optional<Target> Socks5::silent() {
  options.silent = true;
  return refusing();
}

Dialer& HttpConnect::dialer() {
  if (!dialer_)
    dialer_ = std::make_unique<HttpConnectDialer>(std::make_unique<DirectDialer>(loop_.executor()),
                                                  start_http_proxy(loop_, options, seen), credentials);
  return *dialer_;
}

std::optional<Target> HttpConnect::silent() {
  options.silent = true;
  return refusing();
}

Unix::Unix(Loop& loop) : Subject(loop) {
  std::string pattern = std::filesystem::temp_directory_path() / "nsrun-test-XXXXXX";
  if (!::mkdtemp(pattern.data())) throw ErrorException(errno_error("mkdtemp"));
  folder_ = pattern;
  path_ = folder_ / "socket";
}

Unix::~Unix() { std::filesystem::remove_all(folder_); }

Dialer& Unix::dialer() {
  if (!dialer_) dialer_ = std::make_unique<UnixDialer>(loop_.executor(), path_);
  return *dialer_;
}

Target Unix::serve(Protocol protocol, Behaviour behaviour) {
  serve_stream(loop_, listening_socket(path_), std::move(behaviour));
  return {protocol, {}, "anything"};
}

Target Unix::refusing() {
  held_.push_back(bound_socket(path_));
  return {};
}

std::optional<Target> Unix::silent() {
  auto listener = listening_socket(path_, 0);
  held_ = fill_backlog(listener.get());
  held_.push_back(std::move(listener));
  return Target{};
}

Dialer& Function::dialer() {
  if (!dialer_)
    dialer_ = std::make_unique<FunctionDialer>(
        loop_.beside, [this](std::unique_ptr<Connection> near, Target) { return meet(std::move(near)); });
  return *dialer_;
}

Result<Task<>> Function::meet(std::unique_ptr<Connection> near) {
  if (!behaviour_) return Error{"no function there", errno_code(ECONNREFUSED)};
  return behaviour_(std::move(near));
}

Target Function::serve(Protocol protocol, Behaviour behaviour) {
  behaviour_ = std::move(behaviour);
  return {protocol, {loopback4, 1}, {}};
}

Dialer& Faultless::dialer() {
  if (!dialer_) dialer_ = std::make_unique<FaultDialer>(loop_.beside, direct_, totals_);
  return *dialer_;
}

Target Slow::serve(Protocol protocol, Behaviour behaviour) {
  auto target = Faultless::serve(protocol, std::move(behaviour));
  target.faults = std::make_shared<Faults>(parse_faults("latency=4ms").value());
  return target;
}

}  // namespace nsrun::test
