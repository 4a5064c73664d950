#include "netstack/devices/capture.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>
#include "tests/support/catch.h"

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
  Capture capture;
  REQUIRE(capture.start(path).has_value());
  MemoryDevice memory(true);
  CapturingDevice device(memory, capture);
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
  Capture capture;
  const auto started = capture.start("/nonexistent/capture.pcapng");
  REQUIRE(!started.has_value());
  CHECK_FALSE(capture.is_running());
  CHECK(started.error().message().find("/nonexistent/capture.pcapng") != std::string::npos);
}

TEST_CASE("names that are known are in a capture, once for each address, and on each SYN of the guest's") {
  char path[] = "/tmp/nsrun-capture-XXXXXX";
  const UniqueFd made(::mkstemp(path));
  REQUIRE(made);
  const auto named = *IpAddress::parse("192.0.2.1");
  Capture capture([&](const IpAddress& address) { return address == named ? "www.example" : ""; });
  REQUIRE(capture.start(path).has_value());
  MemoryDevice memory(true);
  CapturingDevice device(memory, capture);
  const Endpoint guest = *Endpoint::parse("10.0.2.100:40000");
  const auto send = [&](const char* target, std::uint8_t flags) {
    memory.send({tcp_packet(guest, *Endpoint::parse(target), {.flags = flags}), {}});
    Offload offload;
    Octets room(70'000);
    std::size_t size = 0;
    CHECK(device.read(offload, room, size) == Device::ReadStatus::packet);
  };
  send("192.0.2.2:80", flag::syn);
  send("192.0.2.1:80", flag::syn);
  send("192.0.2.1:80", flag::ack);
  send("192.0.2.1:80", flag::syn);
  CHECK(capture.stop());
  CHECK_FALSE(capture.stop());

  std::vector<std::uint32_t> types;
  std::vector<bool> comments;
  for (const auto& block : blocks(path)) {
    types.push_back(block.type);
    if (block.type == 6) comments.push_back(block.body.find("www.example") != std::string::npos);
    if (block.type == 4)
      CHECK(block.body.find(std::string("\xc0\0\2\1www.example\0", 16)) != std::string::npos);
  }
  ::unlink(path);
  CHECK(types == std::vector<std::uint32_t>{0x0A0D0D0A, 1, 6, 4, 6, 6, 6});
  CHECK(comments == std::vector<bool>{false, true, false, true});
}
