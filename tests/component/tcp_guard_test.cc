// What lwIP gets of the options of a guest's SYN.

#include <vector>

#include "netstack/tcp/tcp_guard.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

using Options = std::vector<int>;  // bytes; a multiple of 4

Options admitted(const Options& options) {
  std::vector<std::byte> segment(20);
  for (const int byte : options) segment.push_back(static_cast<std::byte>(byte));
  segment[12] = static_cast<std::byte>(segment.size() / 4 << 4);
  TcpGuard::admit_first_syn(segment);
  Options out;
  for (std::size_t i = 20; i < segment.size(); ++i) out.push_back(std::to_integer<int>(segment[i]));
  return out;
}

}  // namespace

TEST_CASE("a SYN's MSS and window scale reach lwIP as they are") {
  CHECK(admitted({}) == Options{});
  CHECK(admitted({2, 4, 5, 180}) == Options{2, 4, 5, 180});
  CHECK(admitted({2, 4, 5, 180, 1, 3, 3, 7}) == Options{2, 4, 5, 180, 1, 3, 3, 7});
}

TEST_CASE("options that lwIP does not negotiate become no operation") {
  CHECK(admitted({4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}) ==
        Options{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 7});
  CHECK(admitted({254, 4, 2, 4, 2, 4, 5, 180}) == Options{1, 1, 1, 1, 2, 4, 5, 180});
}

TEST_CASE("an option that does not end within the header is not read, nor what follows it") {
  CHECK(admitted({1, 1, 1, 2}) == Options{1, 1, 1, 1});
  CHECK(admitted({1, 1, 1, 3}) == Options{1, 1, 1, 1});
  CHECK(admitted({1, 1, 1, 254}) == Options{1, 1, 1, 1});
  CHECK(admitted({1, 1, 2, 4}) == Options{1, 1, 1, 1});
  CHECK(admitted({4, 250, 3, 5}) == Options{1, 1, 1, 1});
  CHECK(admitted({2, 4, 5, 180, 9, 5, 2, 4}) == Options{2, 4, 5, 180, 1, 1, 1, 1});
}

TEST_CASE("a length that an option cannot have makes it none") {
  CHECK(admitted({2, 0, 5, 180}) == Options{1, 1, 1, 1});
  CHECK(admitted({2, 1, 2, 4}) == Options{1, 1, 1, 1});
  CHECK(admitted({2, 3, 5, 1, 3, 4, 7, 1}) == Options{1, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("what stands behind the end of the options is not read") {
  CHECK(admitted({3, 3, 7, 0, 2, 4, 5, 180}) == Options{3, 3, 7, 1, 1, 1, 1, 1});
}
