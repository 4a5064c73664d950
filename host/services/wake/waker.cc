#include "host/services/wake/waker.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "host/services/wake/backends/docker_backend.h"
#include "host/services/wake/backends/health.h"
#include "host/services/wake/backends/process_backend.h"
#include "host/services/wake/backends/systemd_backend.h"

namespace nsrun {
namespace {

using MadeBackend = Result<std::unique_ptr<Backend>>;

// What is started may be reached through a proxy that accepts connections before the server does: nsrun for a
// sandbox, docker-proxy and rootlessport for containers. By then the proxy has closed a connection for which
// no server listens inside. nsrun does so in 0.3 ms once it serves; but its socket listens before that, while
// the sandbox starts, which took more than 20 ms on a busy machine.
constexpr auto proxy_answers = 100ms;

// Of backends: they report troubles only.
std::function<void(const std::string&)> warn_by(WakeSay say) {
  return [say = std::move(say)](const std::string& what) { say(WakeLevel::warn, what); };
}

// nsrun itself, with the forwards into it before its other words.
ProcessBackend::Program sandbox(const WakeSpec& spec, const SandboxForwards& doors) {
  ProcessBackend::Program program{spec.options.name, {"/proc/self/exe"}};
  for (const auto& words : {doors.words(), spec.sandbox})
    program.argv.insert(program.argv.end(), words.begin(), words.end());
  return program;
}

MadeBackend bare_backend(const WakeSpec& spec, const std::optional<SandboxForwards>& doors, Service& service,
                         const WakeSay& say) {
  if (doors)
    return std::make_unique<ProcessBackend>(service.executor(), sandbox(spec, *doors), spec.stop_limit,
                                            warn_by(say));
  if (!spec.exec.empty())
    return std::make_unique<ProcessBackend>(service.executor(), ProcessBackend::shell(spec.exec),
                                            spec.stop_limit, warn_by(say));
  if (!spec.systemd.empty())
    return std::make_unique<SystemdBackend>(service.executor(), spec.systemd, spec.systemd_user);
  const auto api = docker_endpoint(spec.docker, std::getenv("DOCKER_HOST"));
  if (!api) return api.error();
  DockerBackend::Options options{spec.labels, spec.uses_health, spec.pauses};
  auto made = DockerBackend::make(*api, std::move(options), service.executor(), warn_by(say));
  if (!made) return made.error();
  return std::move(*made);
}

using MadeProbe = Result<std::unique_ptr<Probe>>;

bool is_of_this_machine(const EndpointUrl& endpoint) {
  const auto address = IpAddress::parse(endpoint.host);
  return endpoint.host == "localhost" || (address && address->is_loopback());
}

// Null where nothing can tell.
MadeProbe usual_probe(const WakeSpec& spec, const EndpointUrl* stream, Executor executor) {
  const auto& first = spec.forwards.front().dial;
  if (stream) return connect_probe(*stream, executor, spec.exec.empty() ? proxy_answers : 0ms);
  if (first.kind == EndpointUrl::Kind::unix_datagram) return connect_probe(first, executor);
  if (is_of_this_machine(first)) return bound_probe(first);
  return std::unique_ptr<Probe>();
}

MadeProbe probe_of(const WakeSpec& spec, Executor executor) {
  const auto found = std::ranges::find_if(
      spec.forwards, [](const Forward& each) { return each.dial.transport() == Transport::stream; });
  const EndpointUrl* stream = found == spec.forwards.end() ? nullptr : &found->dial;
  if (spec.probe == "none") return std::unique_ptr<Probe>();
  if (spec.probe.starts_with("http://")) return http_probe(spec.probe, stream, executor);
  if (!spec.probe.empty() && spec.probe != "connect") return command_probe(spec.probe, executor);
  auto usual = usual_probe(spec, stream, executor);
  if (spec.probe.empty() || !usual || *usual) return usual;
  return Error{spec.options.name + " has no streams, so whether it is ready cannot be told by connecting",
               {},
               "give a command instead, or none",
               ExitCode::usage};
}

MadeBackend backend_of(const WakeSpec& spec, const std::optional<SandboxForwards>& doors, Service& service,
                       const WakeSay& say) {
  auto bare = bare_backend(spec, doors, service, say);
  if (!bare) return bare;
  auto probe = probe_of(spec, service.executor());
  if (!probe) return probe.error();
  if (!*probe) return bare;
  return std::make_unique<ProbedBackend>(std::move(*bare), std::move(*probe));
}

}  // namespace

Waker::One::One(Service& service, std::optional<SandboxForwards> ways, std::unique_ptr<Backend> started,
                const WakeGroup::Options& options, WakeSay say)
    : doors(std::move(ways)),
      backend(std::move(started)),
      group(service.executor(), *backend, options, std::move(say)) {}

Waker::Entrance::Entrance(Service& service, std::string text)
    : name(std::move(text)), dialer(service.world()), forwarder(service.executor(), false) {}

WakeSay Waker::say() const {
  return [&ledger = service_.ledger(), most = most_](WakeLevel level, const std::string& line) {
    if (level <= most) ledger.warning(line);
  };
}

Result<void> Waker::add(WakeSpec spec) {
  std::optional<SandboxForwards> doors;
  if (!spec.sandbox.empty()) {
    auto made = SandboxForwards::make(spec.forwards);
    if (!made) return made.error();
    doors.emplace(std::move(*made));
  }
  auto backend = backend_of(spec, doors, service_, say());
  if (!backend) return backend.error();
  auto& one = groups_.emplace_back(service_, std::move(doors), std::move(*backend), spec.options, say());
  for (const auto& forward : spec.forwards)
    if (auto added = add_forward(forward, one.group); !added) return added;
  return {};
}

Result<void> Waker::add_forward(const Forward& forward, WakeGroup& group) {
  const auto name = forward.to_string();
  auto entrance = std::ranges::find(entrances_, name, &Entrance::name);
  if (entrance == entrances_.end()) {
    entrance = entrances_.emplace(entrances_.end(), service_, name);
    // All may come; of datagrams each is asked about, and so counted.
    Forwarder::Admits counts;
    if (forward.listen.transport() == Transport::datagram)
      counts = [&dialer = entrance->dialer](const Client&) { return dialer.datagram_arrived(), true; };
    if (auto added = entrance->forwarder.add(forward, std::move(counts)); !added) return added;
    service_.show(entrance->flows);
  }
  entrance->dialer.add(group);
  group.add_flows(entrance->flows);
  return {};
}

void Waker::begin() {
  for (auto& one : groups_) service_.sources().spawn(one.group.run());
  for (auto& each : entrances_) {
    each.forwarder.begin(
        {service_.ledger(), each.flows, each.dialer, nullptr, service_.sources(), service_.flows_scope()});
  }
}

Task<> Waker::end() { return end_from(groups_.begin()); }

// Each beside all that follow; cut short, all are.
Task<> Waker::end_from(std::list<One>::iterator first) {
  if (first == groups_.end()) co_return;
  const auto next = std::next(first);
  co_await both(first->group.end(), end_from(next));
}

}  // namespace nsrun
