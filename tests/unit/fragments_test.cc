#include "netstack/devices/fragments.h"

#include "tests/support/catch.h"

#include "netstack/datagrams/reassembly.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

Octets packet(bool v6, std::size_t payload) {
  const auto from = v6 ? *IpAddress::parse("2001:db8::1") : IpAddress::v4(192, 0, 2, 1);
  const auto to = v6 ? *IpAddress::parse("fd00::100") : IpAddress::v4(10, 0, 2, 100);
  return ip_packet({from, to, 17}, pattern(payload));
}

}  // namespace

TEST_CASE("fragments are within the MTU and go together to what they were cut from") {
  const bool v6 = GENERATE(false, true);
  const std::size_t mtu = GENERATE(576, 1280, 1500, 9001);
  const std::size_t payload = GENERATE(1472, 9000, 65'495);
  const auto whole = packet(v6, payload);
  auto pieces = fragments_of(whole, mtu, 0x10002);
  Reassembly reassembly;
  std::optional<Octets> joined;
  for (auto& piece : pieces) {
    CHECK(piece.size() <= mtu);
    if (!v6) CHECK(internet_checksum(Bytes(piece).first(20)) == 0);
    const auto parsed = parse_packet(piece);
    if (!parsed || !parsed->is_fragment) continue;  // all of it in one
    CHECK_FALSE(joined);
    if (const auto made = reassembly.add(*parsed, {})) joined.emplace(made->begin(), made->end());
  }
  if (pieces.size() == 1) joined = pieces.front();
  REQUIRE(joined);
  const auto seen = parse_packet(*joined);
  REQUIRE(seen);
  const auto body = seen->payload();
  const bool same = Octets(body.begin(), body.end()) == pattern(payload);
  CHECK(same);
}

TEST_CASE("what cannot be cut gives no fragments") {
  CHECK(fragments_of({}, 1500, 1).empty());
  CHECK(fragments_of(packet(false, 100), 27, 1).empty());
  CHECK(fragments_of(packet(true, 100), 55, 1).empty());
}
