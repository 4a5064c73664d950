#include "host/vsock/vsock_host.h"

#include "host/vsock/handshake.h"

// Theory of operation
//
// Who connects over vsock shows a CID, and nothing says which machine has which: the machine of a tunnel is
// the one whose peer greets at the tunnel's handshake port. Until it was found, and once it is another's CID
// that is seen, clients are closed at once: another machine of this host is not to reach the upstream server.
//
// A machine that restarts may come back under another CID, and nothing tells of that either, so the one that
// was found is asked again from time to time. While it does not answer, all places are searched, for as long
// as it takes; what it was stays admitted, since a peer that is only slow is no other.

namespace nsrun {
namespace {

constexpr std::uint32_t loopback_cid = 1, first_cid = 3, last_cid = 127;

EndpointUrl url(const std::string& text) { return EndpointUrl::parse(text).value(); }

std::vector<std::uint32_t> usual_cids() {
  std::vector<std::uint32_t> cids{loopback_cid};
  for (auto cid = first_cid; cid <= last_cid; ++cid) cids.push_back(cid);
  return cids;
}

}  // namespace

// One time that all are asked. Its tasks may outlast who waits for the first answer.
struct VsockHost::Round {
  Round(Executor executor, std::size_t asked) : left(asked), over(executor) {}
  std::size_t left;
  std::optional<EndpointUrl> found;
  Signal over;

  static Task<> ask(std::shared_ptr<Round> round, EndpointUrl place) {
    const bool greeted = co_await hears_greeting(place, search_interval);
    if (greeted && !round->found) round->found = std::move(place);
    if (--round->left == 0 || greeted) round->over.raise();
  }
};

VsockHost::VsockHost(Service& service, Places places, TunnelFailed failed)
    : service_(service),
      places_{places.cids.empty() ? usual_cids() : std::move(places.cids), std::move(places.hybrid)},
      failed_(std::move(failed)),
      forwarder_(service.executor(), false) {}

Task<> VsockHost::begin(const std::vector<VsockTunnel>& tunnels) {
  for (const auto& tunnel : tunnels) {
    auto& one = tunnels_.emplace_back(tunnel, service_.executor());
    const auto opened = open(one);
    if (opened) continue;
    fail(one, opened.error());
    tunnels_.pop_back();
  }
  forwarder_.begin(service_.forward_parts());
  for (auto& one : tunnels_) service_.sources().spawn(look_after(one));
  for (auto& one : tunnels_) co_await one.settled.wait();
}

Result<void> VsockHost::open(One& one) {
  const auto port = ":" + std::to_string(one.tunnel.host_port);
  const auto listen =
      EndpointUrl::parse(places_.hybrid.empty() ? "vsock://any" + port : "hvsock://" + places_.hybrid + port);
  if (!listen) return listen.error();
  return forwarder_.add({*listen, one.tunnel.upstream},
                        [this, &one](const Client& client) { return is_of(one, client); });
}

bool VsockHost::is_of(const One& one, const Client& client) const {
  return one.machine && (!client.cid || *client.cid == one.machine->cid);
}

void VsockHost::fail(const One& one, Error error) {
  error.doing = "tunnel '" + one.tunnel.name + "': " + error.doing;
  failed_(error);
}

Task<> VsockHost::look_after(One& one) {
  co_await search(one, Clock::now() + search_limit);
  if (!one.machine)
    fail(one, {"no virtual machine greets at vsock port " + std::to_string(one.tunnel.handshake_port),
               {},
               "does vtunnel peer, or nsrun vsock peer, run in it, and has it a vsock device?"});
  one.settled.raise();
  while (one.machine) {
    co_await sleep_for(look_interval);
    const bool there = co_await hears_greeting(*one.machine, search_interval);
    if (there) continue;
    const std::string name = "tunnel '" + one.tunnel.name + "': ";
    service_.ledger().warning(name + "the virtual machine does not answer any more; it is looked for");
    co_await search(one, Clock::time_point::max());
    service_.ledger().warning(name + "the virtual machine is back: " + one.machine->to_string());
  }
}

Task<> VsockHost::search(One& one, Clock::time_point until) {
  for (;;) {
    const auto next = Clock::now() + search_interval;
    auto found = co_await ask_all(one.tunnel);
    if (found) {
      one.machine = std::move(found);
      co_return;
    }
    if (Clock::now() >= until) co_return;
    co_await sleep_for(next - Clock::now());
  }
}

Task<std::optional<EndpointUrl>> VsockHost::ask_all(const VsockTunnel& tunnel) {
  auto places = places_of(tunnel);
  const auto round = std::make_shared<Round>(service_.executor(), places.size());
  for (auto& place : places) service_.sources().spawn(Round::ask(round, std::move(place)));
  co_await round->over.wait();
  co_return round->found;
}

std::vector<EndpointUrl> VsockHost::places_of(const VsockTunnel& tunnel) const {
  const std::string port = ":" + std::to_string(tunnel.handshake_port);
  if (!places_.hybrid.empty()) return {url("hvsock://" + places_.hybrid + port)};
  std::vector<EndpointUrl> places;
  for (const auto cid : places_.cids) places.push_back(url("vsock://" + std::to_string(cid) + port));
  return places;
}

}  // namespace nsrun
