#include "netstack/checksum.h"

#include <arpa/inet.h>

#include "tests/support/catch.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

TEST_CASE("the checksum is RFC 1071's, in every length and split at every even place") {
  for (std::size_t size = 0; size < 70; ++size) {
    const auto bytes = pattern(size, static_cast<std::uint32_t>(size + 1));
    const auto expected = internet_checksum(bytes);
    CHECK(ntohs(Checksum().add(bytes).finished()) == expected);
    for (std::size_t at = 0; at <= size; at += 4)
      CHECK(ntohs(Checksum().add(Bytes(bytes).first(at)).add(Bytes(bytes).subspan(at)).finished()) ==
            expected);
  }
}

TEST_CASE("the checksum carries as often as it must") {
  const Octets ones(65'535, std::byte{0xff});
  CHECK(ntohs(Checksum().add(ones).finished()) == internet_checksum(ones));
  CHECK(Checksum().finished() == 0xffff);
}

TEST_CASE("RFC 1071's own example sums to ddf2") {
  const auto bytes = octets({"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8});
  CHECK(ntohs(Checksum().add(bytes).folded()) == 0xddf2);
}
