#include "host/services/vsock/vsock_host.h"

#include "host/services/vsock/handshake.h"

// Theory of operation
//
// Who connects over vsock shows a CID, and nothing says which machine has which: the machine of a tunnel is
// the one whose peer greets at the tunnel's handshake port. Clients of any other, and all until it was found,
// are closed at once: another machine of this host is not to reach the upstream server.
//
// A machine that restarts may come back under another CID, and its own may become another's, and nothing
// tells of that: so the one that was found is asked again from time to time. When it does not answer it is
// not admitted any more, and all places are searched, for as long as it takes.

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

// Who is asked may answer when others are asked already, or when nobody wants to know any more.
struct VsockHost::Search {
  explicit Search(Executor executor) : over(executor) {}
  std::optional<EndpointUrl> found;
  Signal over;

  static Task<> ask(std::shared_ptr<Search> search, EndpointUrl place) {
    const bool greeted = co_await hears_greeting(place, answer_limit);
    if (!greeted || search->found) co_return;
    search->found = std::move(place);
    search->over.raise();
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
    const bool there = co_await hears_greeting(*one.machine, answer_limit);
    if (there) continue;
    const std::string name = "tunnel '" + one.tunnel.name + "': ";
    one.machine.reset();
    service_.ledger().warning(name + "the virtual machine does not answer any more; it is looked for");
    co_await search(one, Clock::time_point::max());
    service_.ledger().warning(name + "the virtual machine is back: " + one.machine->to_string());
  }
}

Task<> VsockHost::search(One& one, Clock::time_point until) {
  const auto search = std::make_shared<Search>(service_.executor());
  while (!search->found && Clock::now() < until) {
    for (auto& place : places_of(one.tunnel)) service_.sources().spawn(Search::ask(search, std::move(place)));
    co_await either(search->over.wait(), sleep_for(search_interval));
  }
  if (search->found) one.machine = search->found;
}

std::vector<EndpointUrl> VsockHost::places_of(const VsockTunnel& tunnel) const {
  const std::string port = ":" + std::to_string(tunnel.handshake_port);
  if (!places_.hybrid.empty()) return {url("hvsock://" + places_.hybrid + port)};
  std::vector<EndpointUrl> places;
  for (const auto cid : places_.cids) places.push_back(url("vsock://" + std::to_string(cid) + port));
  return places;
}

}  // namespace nsrun
