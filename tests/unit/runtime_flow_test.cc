#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>
#include "tests/support/catch.h"

#include "runtime/flow_record.h"

using namespace nsrun;

namespace {

const FlowKey tcp_key{Protocol::tcp, *Endpoint::parse("10.0.2.100:40000"), *Endpoint::parse("192.0.2.1:80")};
const FlowKey udp_key{Protocol::udp, *Endpoint::parse("10.0.2.100:40000"), *Endpoint::parse("192.0.2.1:53")};

struct Listener : Events {
  void flow_ended(const FlowRecord& record) override {
    ends.push_back(record.end);
    bytes_up = record.bytes_up;
  }
  std::vector<FlowEnd> ends;
  std::uint64_t bytes_up = 0;
};

// The fullest of as many buckets as there are keys, with the low bits choosing, as hash tables do.
std::size_t fullest_bucket(const std::vector<FlowKey>& keys) {
  std::vector<std::size_t> buckets(keys.size());
  for (const auto& key : keys) ++buckets[std::hash<FlowKey>{}(key) % buckets.size()];
  return *std::max_element(buckets.begin(), buckets.end());
}

IpAddress v6_of(std::uint64_t high, std::uint64_t low) {
  std::uint64_t words[2] = {high, low};
  return IpAddress::v6_from(words);
}

}  // namespace

TEST_CASE("a target reads as its protocol and where it is, by name when it has one") {
  CHECK(Target{Protocol::tcp, *Endpoint::parse("192.0.2.1:80"), ""}.to_string() == "tcp/192.0.2.1:80");
  CHECK(Target{Protocol::udp, *Endpoint::parse("[fd00::3]:53"), ""}.to_string() == "udp/[fd00::3]:53");
  CHECK(Target{Protocol::tcp, *Endpoint::parse("198.18.0.1:443"), "example.org"}.to_string() ==
        "tcp/example.org:443");
}

TEST_CASE("a flow's end is reported once, when its record goes, as it was first named") {
  Listener events;
  LiveFlows flows;
  {
    FlowRecord record(1, tcp_key, events, flows);
    record.ended(FlowEnd::reset_by_target);
    record.ended(FlowEnd::closed);
    CHECK(events.ends.empty());
  }
  CHECK(events.ends == std::vector{FlowEnd::reset_by_target});
  { const FlowRecord unnamed(2, tcp_key, events, flows); }
  CHECK(events.ends.back() == FlowEnd::sandbox_ended);
}

TEST_CASE("a walk sees every live flow once, whichever end under it") {
  Listener events;
  LiveFlows flows;
  std::vector<std::unique_ptr<FlowRecord>> records;
  for (std::uint64_t id = 0; id < 5; ++id)
    records.push_back(std::make_unique<FlowRecord>(id, tcp_key, events, flows));
  records[3].reset();
  std::vector<std::uint64_t> seen;
  LiveFlows::Walk walk(flows), other(flows);
  while (const FlowRecord* flow = walk.next()) {
    const auto id = flow->id;
    seen.push_back(id);
    if (id == 0) records[0].reset(), records[1].reset();
    if (id == 2) records.push_back(std::make_unique<FlowRecord>(5, tcp_key, events, flows));
  }
  CHECK(seen == std::vector<std::uint64_t>{0, 2, 4, 5});
  CHECK(other.next()->id == 2);
}

TEST_CASE("a flow is cut by who carries it, once, and says why") {
  struct Carrier final : FlowCarrier {
    void cut() override { ++cuts; }
    int cuts = 0;
  } carrier;
  Listener events;
  LiveFlows flows;
  FlowRecord record(1, tcp_key, events, flows);
  record.cut("nobody carries it");
  CHECK(record.end == FlowEnd::open);
  record.carried_by(&carrier);
  record.cut("no longer allowed");
  record.cut("twice");
  record.ended(FlowEnd::closed);
  CHECK(carrier.cuts == 1);
  CHECK(record.end == FlowEnd::policy);
  CHECK(record.why == "no longer allowed");
}

TEST_CASE("what a flow moves is counted for it and in the totals of its protocol") {
  Listener events;
  LiveFlows flows;
  {
    FlowRecord stream(1, tcp_key, events, flows), datagrams(2, udp_key, events, flows);
    stream.moved_up(1000);
    stream.moved_up(24);
    stream.moved_down(5);
    datagrams.moved_up(300, 3);
    datagrams.moved_down(100);
    CHECK(stream.bytes_up == 1024);
    CHECK(stream.bytes_down == 5);
    CHECK(datagrams.packets_up == 3);
    CHECK(datagrams.packets_down == 1);
  }
  CHECK(flows.totals.tcp.connections == 1);
  CHECK(flows.totals.tcp.bytes_up == 1024);
  CHECK(flows.totals.tcp.bytes_down == 5);
  CHECK(flows.totals.udp.flows == 1);
  CHECK(flows.totals.udp.bytes_up == 300);
  CHECK(flows.totals.udp.packets_up == 3);
  CHECK(flows.totals.udp.packets_down == 1);
  CHECK(flows.totals.icmp.flows == 0);
}

TEST_CASE("flows that differ in one part only have different hashes") {
  const auto hash = [](const FlowKey& key) { return std::hash<FlowKey>{}(key); };
  CHECK(hash(tcp_key) == hash(FlowKey(tcp_key)));
  auto other = tcp_key;
  other.protocol = Protocol::udp;
  CHECK(hash(other) != hash(tcp_key));
  other = tcp_key;
  std::swap(other.source, other.target);
  CHECK(hash(other) != hash(tcp_key));
  other = tcp_key;
  other.source.port ^= 1;
  CHECK(hash(other) != hash(tcp_key));
}

TEST_CASE("a guest cannot aim its flows at one bucket") {
  // A thousand keys over a thousand buckets: the fullest holds about six when they fall by chance.
  constexpr std::size_t count = 1024, at_most = 16;
  std::vector<FlowKey> by_port, by_address, by_cancelling_words;
  for (std::uint64_t i = 1; i <= count; ++i) {
    auto key = tcp_key;
    key.source.port = static_cast<std::uint16_t>(1024 + i);
    by_port.push_back(key);
    key = tcp_key;
    key.target.address =
        IpAddress::v4(10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i));
    by_address.push_back(key);
    key.source.address = v6_of(i << 8, i << 9);
    by_cancelling_words.push_back(key);
    by_cancelling_words.back().target = tcp_key.target;
  }
  CHECK(fullest_bucket(by_port) <= at_most);
  CHECK(fullest_bucket(by_address) <= at_most);
  CHECK(fullest_bucket(by_cancelling_words) <= at_most);
}
