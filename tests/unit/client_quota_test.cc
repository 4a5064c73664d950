// Who gets a place, and who gives way.

#include <algorithm>
#include <vector>

#include "host/listen/client_quota.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

IpAddress address(const char* text) { return *IpAddress::parse(text); }

// Clients who give way when they are asked, unless they are busy.
struct Clients {
  explicit Clients(std::size_t most) : places(most) {}
  // Whether client `number` got a place.
  bool come(int number, const IpAddress& from, bool busy = false) {
    auto place = places.take(from, [this, number, busy] {
      if (!busy) gone.push_back(number);
      return !busy;
    });
    const bool has = static_cast<bool>(place);
    kept.push_back(std::move(place));
    return has;
  }

  ClientQuota places;
  std::vector<ClientQuota::Place> kept;
  std::vector<int> gone;
};

}  // namespace

TEST_CASE("a silent address displaces its own clients, not another's") {
  Clients clients(8);
  CHECK(clients.come(0, address("198.51.100.1")));
  for (int i = 1; i <= 100; ++i) CHECK(clients.come(i, address("203.0.113.7")));
  CHECK(clients.places.taken() == 5);  // half of the places, and the first client's
  CHECK(std::find(clients.gone.begin(), clients.gone.end(), 0) == clients.gone.end());
  CHECK(clients.gone.front() == 1);  // the oldest first
  CHECK(clients.come(101, address("198.51.100.2")));
}

TEST_CASE("an IPv6 network of 64 bits is one address") {
  Clients clients(8);
  CHECK(clients.come(0, address("2001:db8:0:1::1")));
  for (int i = 1; i <= 100; ++i) {
    const auto from = "2001:db8:0:2::" + std::to_string(i);
    CHECK(clients.come(i, address(from.c_str())));
  }
  CHECK(clients.places.taken() == 5);
  CHECK(std::find(clients.gone.begin(), clients.gone.end(), 0) == clients.gone.end());
}

TEST_CASE("when many addresses fill the places, the oldest of the greediest gives way") {
  Clients clients(4);
  clients.come(0, address("198.51.100.1"));
  clients.come(1, address("198.51.100.2"));
  clients.come(2, address("198.51.100.2"));
  clients.come(3, address("198.51.100.3"));
  CHECK(clients.come(4, address("198.51.100.4")));
  CHECK(clients.gone == std::vector<int>{1});
}

TEST_CASE("clients of this machine may have all places, and still let new ones in") {
  Clients clients(4);
  for (int i = 0; i < 6; ++i) CHECK(clients.come(i, address("127.0.0.1")));
  CHECK(clients.places.taken() == 4);
  CHECK(clients.gone == std::vector<int>{0, 1});
}

TEST_CASE("who is busy does not give way; where all are, there is no place") {
  Clients clients(2);
  CHECK(clients.come(0, address("127.0.0.1"), true));
  CHECK(clients.come(1, address("127.0.0.1")));
  CHECK(clients.come(2, address("127.0.0.1"), true));
  CHECK(clients.gone == std::vector<int>{1});
  CHECK(!clients.come(3, address("127.0.0.1")));
  clients.kept.erase(clients.kept.begin());  // the first one ends
  CHECK(clients.come(4, address("127.0.0.1")));
}

TEST_CASE("clients that never give way have at most half of the places each") {
  ClientQuota places(8);
  std::vector<ClientQuota::Place> kept;
  const auto come = [&](const char* from, ClientQuota::GiveWay give_way = {}) {
    kept.push_back(places.take(address(from), std::move(give_way)));
    return static_cast<bool>(kept.back());
  };
  for (int i = 0; i < 4; ++i) CHECK(come("203.0.113.7"));
  CHECK_FALSE(come("203.0.113.7"));
  CHECK(come("198.51.100.1"));
  CHECK(come("198.51.100.1", [] { return true; }));
  CHECK_FALSE(come("203.0.113.7"));  // another address's client does not give way for it
  CHECK(come("198.51.100.2"));
  CHECK(come("198.51.100.3"));
  CHECK(come("198.51.100.4"));  // in place of the one that gave way
  CHECK_FALSE(come("198.51.100.5"));
  kept.erase(kept.begin());
  CHECK(come("203.0.113.7"));
}

TEST_CASE("a place may outlive what it was taken from") {
  ClientQuota::Place place;
  {
    ClientQuota places(1);
    place = places.take(address("127.0.0.1"), [] { return true; });
  }
  place = {};
}
