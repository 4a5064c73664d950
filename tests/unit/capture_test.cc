#include "netstack/devices/capture.h"

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>

#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

struct Block {
  std::uint32_t type;
  std::string body;  // between the two lengths
};

std::uint32_t word(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, 4);
  return value;
}

// The blocks of a pcapng file (draft-ietf-opsawg-pcapng, 3.1); the lengths in front and behind must agree.
std::vector<Block> blocks(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Block> all;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = word(bytes, at + 4);
    REQUIRE(length % 4 == 0);
    REQUIRE(at + length <= bytes.size());
    REQUIRE(word(bytes, at + length - 4) == length);
    all.push_back({word(bytes, at), bytes.substr(at + 8, length - 12)});
    at += length;
  }
  return all;
}

}  // namespace

TEST_CASE("what passes a capturing device is in the file, in its direction, and passes unchanged") {
  char path[] = "/tmp/nsrun-capture-XXXXXX";
  const UniqueFd made(::mkstemp(path));
  REQUIRE(made);
  auto file = CaptureFile::create(path);
  REQUIRE(file.has_value());
  MemoryDevice memory(true);
  CapturingDevice device(memory, **file);
  CHECK(device.fd() == memory.fd());
  CHECK(device.offloads());

  const auto up = pattern(101), down = pattern(50, 2);
  memory.send({up, {}});
  Offload offload;
  Octets room(70'000);
  std::size_t size = 0;
  CHECK(device.read(offload, room, size) == Device::ReadStatus::packet);
  CHECK(Octets(room.begin(), room.begin() + static_cast<long>(size)) == up);
  const iovec parts[2] = {{const_cast<std::byte*>(down.data()), 20},
                          {const_cast<std::byte*>(down.data()) + 20, 30}};
  device.write({}, parts);
  REQUIRE(memory.from_stack.size() == 1);
  CHECK(memory.from_stack[0].bytes == down);
  CHECK(device.read(offload, room, size) == Device::ReadStatus::empty);

  const auto all = blocks(path);
  ::unlink(path);
  REQUIRE(all.size() == 4);
  CHECK(all[0].type == 0x0A0D0D0A);
  CHECK(all[1].type == 1);
  CHECK((word(all[1].body, 0) & 0xffff) == 101);  // LINKTYPE_RAW
  for (const auto& [block, packet, direction] : {std::tuple{all[2], up, 2u}, {all[3], down, 1u}}) {
    CHECK(block.type == 6);
    CHECK(word(block.body, 12) == packet.size());
    CHECK(block.body.substr(20, packet.size()) == text(packet));
    const auto options = 20 + (packet.size() + 3) / 4 * 4;
    CHECK(word(block.body, options + 4) == direction);
  }
}

TEST_CASE("a capture file that cannot be made says which") {
  const auto file = CaptureFile::create("/nonexistent/capture.pcapng");
  REQUIRE(!file.has_value());
  CHECK(file.error().message().find("/nonexistent/capture.pcapng") != std::string::npos);
}
