#include "netstack/datagrams/reassembly.h"

#include <algorithm>
#include "tests/support/catch.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

IpFields address_of(bool v6) {
  return v6 ? IpFields{*IpAddress::parse("fd00::100"), *IpAddress::parse("2001:db8::1"), 17}
            : IpFields{IpAddress::v4(10, 0, 2, 100), IpAddress::v4(192, 0, 2, 1), 17};
}

// The whole packet, when this fragment was its last piece.
std::optional<Octets> add(Reassembly& reassembly, Octets bytes, Clock::time_point now = {}) {
  const auto packet = parse_packet(bytes);
  REQUIRE((packet && packet->is_fragment));
  const auto whole = reassembly.add(*packet, now);
  if (!whole) return std::nullopt;
  return Octets(whole->begin(), whole->end());
}

}  // namespace

TEST_CASE("what comes out is the packet that never was fragmented") {
  const bool v6 = GENERATE(false, true);
  const bool extended = GENERATE(false, true);
  IpFields fields = address_of(v6);
  if (extended && v6) {
    fields.options = octets({"\x11\x00\x01\x04\0\0\0\0", 8});  // destination options
    fields.next_header = 60;
  }
  const auto payload = pattern(3000);
  Reassembly reassembly;
  auto pieces = fragments(fields, payload, 800, 9);
  if (extended && v6)
    for (auto& piece : pieces) piece[40] = std::byte{44};  // the options name the fragment header
  std::optional<Octets> whole;
  for (const auto& piece : pieces) {
    CHECK(!whole);
    whole = add(reassembly, piece);
  }
  REQUIRE(whole);
  Octets expected = ip_packet(fields, payload);
  if (!v6) {
    // IPv4's identification stays, and with it the header's checksum differs.
    CHECK(internet_checksum(Bytes(*whole).first(20)) == 0);
    for (const std::size_t at : {4, 5, 10, 11}) expected[at] = (*whole)[at];
  }
  const bool same = *whole == expected;
  CHECK(same);
  CHECK(reassembly.unfinished() == 0);
}

TEST_CASE("fragments of the largest packet go together, of a larger one they do not") {
  const bool v6 = GENERATE(false, true);
  Reassembly reassembly;
  const std::size_t most = v6 ? 65'535 : 65'515;
  std::optional<Octets> whole;
  for (const auto& piece : fragments(address_of(v6), pattern(most), 8000, 1)) whole = add(reassembly, piece);
  REQUIRE(whole);
  CHECK(whole->size() == most + (v6 ? 40 : 20));
  CHECK(!add(reassembly, fragment(address_of(v6), pattern(1400), 65'528, false, 2)));
  CHECK(reassembly.unfinished() == 0);
}

TEST_CASE("a packet whose pieces do not come in time is forgotten") {
  Reassembly reassembly;
  const auto pieces = fragments(address_of(false), pattern(1600), 800, 3);
  CHECK(!add(reassembly, pieces[0]));
  CHECK(!add(reassembly, pieces[1], Clock::time_point{} + Reassembly::lifetime + 1s));
  CHECK(reassembly.unfinished() == 1);  // the late piece, alone
}

TEST_CASE("the oldest unfinished packet goes when there are too many") {
  Reassembly reassembly;
  const auto payload = pattern(1600);
  for (std::uint32_t id = 0; id <= Reassembly::max_packets; ++id)
    CHECK(!add(reassembly, fragment(address_of(true), Bytes(payload).first(800), 0, true, id)));
  CHECK(reassembly.unfinished() == Reassembly::max_packets);
  CHECK(!add(reassembly, fragment(address_of(true), Bytes(payload).subspan(800), 800, false, 0)));
  CHECK(add(reassembly, fragment(address_of(true), Bytes(payload).subspan(800), 800, false, 2)));
}

TEST_CASE("pieces that overlap, are empty, or of odd length end their packet") {
  const auto payload = pattern(1600);
  Reassembly reassembly;
  const auto first = [&] {
    CHECK(!add(reassembly, fragment(address_of(true), Bytes(payload).first(800), 0, true, 1)));
  };
  first();
  CHECK(!add(reassembly, fragment(address_of(true), Bytes(payload).subspan(792, 16), 792, true, 1)));
  CHECK(reassembly.unfinished() == 0);
  first();
  CHECK(!add(reassembly, fragment(address_of(true), {}, 800, false, 1)));
  CHECK(reassembly.unfinished() == 0);
  first();
  CHECK(!add(reassembly, fragment(address_of(true), Bytes(payload).first(13), 800, true, 1)));
  CHECK(reassembly.unfinished() == 0);
}

TEST_CASE("packets are told apart by addresses, identification and, in IPv4, protocol") {
  Reassembly reassembly;
  const auto payload = pattern(1600);
  auto other = address_of(false);
  other.protocol = 6;
  CHECK(!add(reassembly, fragment(address_of(false), Bytes(payload).first(800), 0, true, 1)));
  CHECK(!add(reassembly, fragment(other, Bytes(payload).subspan(800), 800, false, 1)));
  CHECK(!add(reassembly, fragment(address_of(false), Bytes(payload).subspan(800), 800, false, 2)));
  CHECK(add(reassembly, fragment(address_of(false), Bytes(payload).subspan(800), 800, false, 1)));
}
