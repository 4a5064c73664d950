#include "host/listen/client_quota.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace nsrun {
namespace {

constexpr std::size_t network6 = 8;  // bytes of an IPv6 address that say whose it is

// Nothing: not one peer.
std::optional<IpAddress> peer_of(const IpAddress& client) {
  if (client.is_loopback() || client.is_unspecified()) return std::nullopt;
  if (client.is_v4()) return client;
  auto bytes = client.mapped();
  std::fill(bytes.begin() + network6, bytes.end(), std::uint8_t{0});
  return IpAddress::v6_from(bytes.data());
}

}  // namespace

struct TakenPlaces {
  struct One {
    std::optional<IpAddress> peer;
    ClientQuota::GiveWay give_way;
  };
  std::map<std::uint64_t, One> by_age;  // numbered as they came
  std::map<std::optional<IpAddress>, std::size_t> of_peer;
  std::size_t willing = 0;  // those that can be asked to give way
  std::uint64_t last = 0;

  void release(std::map<std::uint64_t, One>::iterator one) {
    const auto count = of_peer.find(one->second.peer);
    if (--count->second == 0) of_peer.erase(count);
    if (one->second.give_way) --willing;
    by_age.erase(one);
  }
  std::size_t count_of(const std::optional<IpAddress>& peer) const {
    const auto found = of_peer.find(peer);
    return found == of_peer.end() ? 0 : found->second;
  }
  std::optional<IpAddress> greediest() const {
    const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    return std::max_element(of_peer.begin(), of_peer.end(), less)->first;
  }
  // Of those for whom `may` is true the oldest that gives way.
  template <class May>
  bool make_room(May may) {
    if (willing == 0) return false;  // a refusal must not cost a look at every place
    for (auto one = by_age.begin(); one != by_age.end();) {
      const auto next = std::next(one);
      const bool goes = one->second.give_way && may(one->second.peer) && one->second.give_way();
      if (goes) return release(one), true;
      one = next;
    }
    return false;
  }
};

ClientQuota::ClientQuota(std::size_t most) : most_(most), taken_(std::make_shared<TakenPlaces>()) {}

std::size_t ClientQuota::taken() const { return taken_->by_age.size(); }

ClientQuota::Place ClientQuota::take(const IpAddress& client, GiveWay give_way) {
  const auto peer = peer_of(client);
  const auto is = [](const std::optional<IpAddress>& whose) {
    return [whose](const std::optional<IpAddress>& one) { return one == whose; };
  };
  const auto any = [](const std::optional<IpAddress>&) { return true; };
  const bool has_share = peer && taken_->count_of(peer) >= most_ / 2;
  if (has_share && !taken_->make_room(is(peer))) return {};
  if (taken() >= most_ && !taken_->make_room(is(taken_->greediest())) && !taken_->make_room(any)) return {};
  const auto number = ++taken_->last;
  if (give_way) ++taken_->willing;
  taken_->by_age.emplace(number, TakenPlaces::One{peer, std::move(give_way)});
  ++taken_->of_peer[peer];
  Place place;
  place.taken_ = taken_;
  place.number_ = number;
  return place;
}

ClientQuota::Place::~Place() {
  if (!taken_) return;
  if (const auto mine = taken_->by_age.find(number_); mine != taken_->by_age.end()) taken_->release(mine);
}

}  // namespace nsrun
