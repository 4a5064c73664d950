#include "host/wake/waker.h"

#include <algorithm>

#include "host/wake/backends/docker_backend.h"
#include "host/wake/backends/health.h"
#include "host/wake/backends/process_backend.h"
#include "host/wake/backends/systemd_backend.h"

namespace nsrun {
namespace {

using Made = Result<std::unique_ptr<Backend>>;

WakeGroup::Say say_to(Ledger& ledger) {
  return [&ledger](const std::string& what) { ledger.warning(what); };
}

Made bare_backend(const WakeSpec& spec, Service& service) {
  if (!spec.exec.empty())
    return std::make_unique<ProcessBackend>(service.executor(), spec.exec, spec.stop_limit,
                                            say_to(service.ledger()));
  if (!spec.systemd.empty())
    return std::make_unique<SystemdBackend>(service.executor(), spec.systemd, spec.systemd_user);
  DockerBackend::Options options{spec.labels, spec.uses_health, spec.pauses};
  auto made =
      DockerBackend::make(spec.docker, std::move(options), service.executor(), say_to(service.ledger()));
  if (!made) return made.error();
  return std::move(*made);
}

Result<std::unique_ptr<Probe>> probe_of(const WakeSpec& spec, Executor executor) {
  const auto streams = std::ranges::find_if(
      spec.forwards, [](const Forward& each) { return each.dial.transport() == Transport::stream; });
  const bool connects = spec.probe == "connect" || spec.probe.empty();
  if (!connects && spec.probe != "none") return command_probe(spec.probe, executor);
  if (connects && streams != spec.forwards.end()) return connect_probe(streams->dial, executor);
  if (spec.probe == "connect")
    return Error{spec.options.name + " has no streams, so whether it is ready cannot be told by connecting",
                 {},
                 "give a command instead, or none",
                 ExitCode::usage};
  return std::unique_ptr<Probe>();
}

Made backend_of(const WakeSpec& spec, Service& service) {
  auto bare = bare_backend(spec, service);
  if (!bare) return bare;
  auto probe = probe_of(spec, service.executor());
  if (!probe) return probe.error();
  if (!*probe) return bare;
  return std::make_unique<ProbedBackend>(std::move(*bare), std::move(*probe));
}

}  // namespace

Waker::One::One(Service& service, std::unique_ptr<Backend> started, const WakeGroup::Options& options)
    : backend(std::move(started)),
      group(service.executor(), *backend, flows, options, say_to(service.ledger())),
      dialer(group, service.world()),
      forwarder(service.executor(), false) {}

Result<void> Waker::add(const WakeSpec& spec) {
  auto backend = backend_of(spec, service_);
  if (!backend) return backend.error();
  auto& one = groups_.emplace_back(service_, std::move(*backend), spec.options);
  service_.show(one.flows);
  for (const auto& forward : spec.forwards)
    if (auto added = one.forwarder.add(forward); !added) return added;
  return {};
}

void Waker::begin() {
  for (auto& one : groups_) {
    service_.sources().spawn(one.group.run());
    one.forwarder.begin(
        {service_.ledger(), one.flows, one.dialer, nullptr, service_.sources(), service_.flows_scope()});
  }
}

}  // namespace nsrun
