#include "tests/support/dialers_subjects.h"

#include <sys/socket.h>

#include "host/dialers/direct_dialer.h"
#include "host/dialers/http_connect_dialer.h"
#include "host/dialers/socks5_dialer.h"
#include "host/dialers/unix_dialer.h"
#include "host/endpoints/endpoint_dialer.h"
#include "host/endpoints/vsock.h"
#include "host/faults/fault_dialer.h"
#include "host/tls/tls_dialer.h"

namespace nsrun::test {
namespace {

Task<> behave_in_tls(std::unique_ptr<Connection> near, const TlsContext& server, Behaviour behaviour) {
  auto secured = co_await tls_accept(std::move(near), server);
  if (secured) co_await behaviour(std::move(*secured));
}

// What a virtual machine's monitor says before the stream begins; without a behaviour nobody listens there.
Task<> behave_in_machine(std::unique_ptr<Connection> near, Behaviour behaviour) {
  const std::string asked = "CONNECT 52\n";
  std::string heard(asked.size(), '\0');
  for (std::size_t size = 0; size < heard.size();) {
    const auto chunk = co_await near->read(std::as_writable_bytes(std::span(heard)).subspan(size));
    if (!chunk || chunk->end) co_return;
    size += chunk->size;
  }
  if (heard != asked || !behaviour) co_return;
  std::string answer = "OK 1073741824\n";
  co_await write_all(*near, std::move(answer));
  co_await behaviour(std::move(near));
}

Task<> never_answer(std::unique_ptr<Connection> near) {
  const auto heard = co_await read_all(*near);
  (void)heard;
}

}  // namespace

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

std::string HybridVsock::path() { return files_.path(); }

Dialer& HybridVsock::dialer() {
  if (!dialer_) dialer_ = std::make_unique<HybridVsockDialer>(loop_.executor(), path(), 52);
  return *dialer_;
}

Target HybridVsock::serve(Protocol protocol, Behaviour behaviour) {
  return files_.serve(protocol, [behaviour](std::unique_ptr<Connection> near) {
    return behave_in_machine(std::move(near), behaviour);
  });
}

Target HybridVsock::refusing() {
  return files_.serve(
      Protocol::tcp, [](std::unique_ptr<Connection> near) { return behave_in_machine(std::move(near), {}); });
}

std::optional<Target> HybridVsock::silent() {
  return files_.serve(Protocol::tcp,
                      [](std::unique_ptr<Connection> near) { return never_answer(std::move(near)); });
}

Dialer& FixedEndpoint::dialer() {
  if (dialled_.endpoint.port == 0) dialled_ = Subject::refusing();
  const auto url = EndpointUrl::parse("tcp://" + dialled_.endpoint.to_string()).value();
  if (!dialer_) dialer_ = endpoint_dialer(url, loop_.executor()).value();
  return *dialer_;
}

Target FixedEndpoint::serve(Protocol protocol, Behaviour behaviour) {
  dialled_ = Subject::serve(protocol, std::move(behaviour));
  return {protocol, {}, "anything"};
}

Target FixedEndpoint::refusing() {
  dialled_ = Subject::refusing();
  return {};
}

std::optional<Target> FixedEndpoint::silent() {
  dialled_ = *Subject::silent();
  return Target{};
}

Tls::Tls(Loop& loop)
    : Subject(loop),
      authority(CertificateAuthority::create("test authority").value()),
      server(TlsContext::server({.identity = [this](const std::string& name) {
               return authority.identity_for(name);
             }}).value()) {}

Dialer& Tls::dialer() {
  if (!dialer_)
    dialer_ =
        std::make_unique<TlsDialer>(std::make_unique<DirectDialer>(loop_.executor()),
                                    TlsContext::client({.trusted = authority.pem()}).value(), server_name);
  return *dialer_;
}

Target Tls::serve(Protocol protocol, Behaviour behaviour) {
  return Subject::serve(protocol, [this, behaviour](std::unique_ptr<Connection> near) {
    return behave_in_tls(std::move(near), *server, behaviour);
  });
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
