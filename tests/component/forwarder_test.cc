// Forwards that cannot work are refused before anybody connects.

#include "host/forward/forwarder.h"

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/dialers_far_side.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

std::string free_port() { return std::to_string(bound_endpoint(listening_socket(loopback4).get()).port); }

struct Forwards {
  // The message of the error; empty: it was added.
  std::string add(const std::string& text) {
    const auto added = forwarder.add(Forward::parse(text).value());
    return added ? "" : added.error().message();
  }
  asio::io_context context;
  Forwarder forwarder{context.get_executor(), false};
};

constexpr auto comes_back = "would come back";

}  // namespace

TEST_CASE("a forward whose connections would come back to itself is refused") {
  const auto port = free_port();
  for (const auto& [listen, dial] : std::vector<std::pair<std::string, std::string>>{
           {"tcp://127.0.0.1:" + port, "tcp://127.0.0.1:" + port},
           {"tcp://127.0.0.1:" + port, "tcp://localhost:" + port},
           {"tcp://:" + port, "tcp://127.0.0.1:" + port},
           {"tcp://0.0.0.0:" + port, "tcp://127.0.0.1:" + port},
           {"udp://127.0.0.1:" + port, "udp://127.0.0.1:" + port}}) {
    INFO(listen << "=" << dial);
    CHECK(Forwards().add(listen + "=" + dial).find(comes_back) != std::string::npos);
  }
}

TEST_CASE("a unix socket that would be forwarded to itself is refused") {
  const auto path = std::filesystem::temp_directory_path() / ("nsrun-forwarder-" + free_port());
  const auto place = "unix://" + path.string();
  CHECK(Forwards().add(place + "=" + place).find(comes_back) != std::string::npos);
}

TEST_CASE("forwards that lead to each other in a circle are refused, a chain is not") {
  const auto one = "tcp://127.0.0.1:" + free_port(), two = "tcp://127.0.0.1:" + free_port(),
             three = "tcp://127.0.0.1:" + free_port();
  Forwards forwards;
  CHECK(forwards.add(one + "=" + two).empty());
  CHECK(forwards.add(two + "=" + three).empty());
  CHECK(forwards.add(three + "=" + one).find(comes_back) != std::string::npos);
}

TEST_CASE("the same port of another address, or of another protocol, is another place") {
  const auto port = free_port();
  CHECK(Forwards().add("tcp://127.0.0.1:" + port + "=tcp://192.0.2.1:" + port).empty());
  CHECK(Forwards().add("tcp://127.0.0.1:" + port + "=tcp://127.0.0.2:" + port).empty());
  CHECK(Forwards().add("udp://127.0.0.1:" + port + "=udp://127.0.0.2:" + port).empty());
}
