// Tests a Python program that uses urllib: what it does when a server is busy, and, with a session that was
// recorded once, what it makes of real answers.
//
//   example_world_urllib
//
//   sandbox: python3 ─► weather.example.com:443 ─► busy at first, then a forecast     (a function)
//   sandbox: python3 ─► weather.example.com:443 ─► as in session.json                 (a recording)

#include <unistd.h>

#include <nsrun/testing/world.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

using nsrun::testing::HttpRequest, nsrun::testing::HttpResponse, nsrun::testing::World;

// The program under test: asks again while the server is busy.
constexpr auto program = R"(
import json, urllib.error, urllib.request

def forecast(city):
    while True:
        try:
            with urllib.request.urlopen("https://weather.example.com/" + city) as answer:
                return json.load(answer)["sky"]
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            print("busy", flush=True)

print(forecast("berlin"))
)";

// As World::record writes it.
constexpr auto session = R"({
  "format": "nsrun session 1",
  "flows": [
    {
      "protocol": "tcp",
      "host": "weather.example.com",
      "port": 443,
      "tls": true,
      "exchanges": [
        {
          "request": {"head": "GET /berlin HTTP/1.1\r\nHost: weather.example.com\r\n\r\n"},
          "response": {
            "head": "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n",
            "body": "{\"sky\": \"foggy\"}"
          },
          "closes": true
        }
      ]
    }
  ]
})";

void check(bool holds, const char* what, const std::string& seen) {
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", what);
  if (holds) return;
  std::printf("%s\n", seen.c_str());
  std::exit(1);
}

void test_busy_server() {
  World world;
  int asked = 0;
  world.on("weather.example.com:443", [&](const HttpRequest&) {
    ++asked;
    return HttpResponse{503, "later"};
  });
  auto running = world.start({"python3", "-c", program});
  const bool asked_again = running.wait_until([&] { return asked == 3; });
  world.on("weather.example.com:443", HttpResponse{200, R"({"sky": "clear"})"});
  const auto outcome = running.wait();
  const auto seen = outcome.to_string();
  check(asked_again, "a busy server is asked again", seen);
  check(outcome.out == "busy\nbusy\nbusy\nclear\n", "the forecast comes in the end", seen);
  check(world.unexpected().empty(), "nothing else was tried", seen);
}

void test_recorded_session() {
  const auto file =
      std::filesystem::temp_directory_path() / ("session-" + std::to_string(::getpid()) + ".json");
  std::ofstream(file) << session;
  World world;
  world.replay(file);
  std::filesystem::remove(file);
  const auto outcome = world.run({"python3", "-c", program});
  const auto seen = outcome.to_string();
  check(outcome.out == "foggy\n", "the recorded forecast is shown", seen);
  check(world.troubles().empty(), "nothing was asked that was not recorded", seen);
}

}  // namespace

int main() {
  try {
    test_busy_server();
    test_recorded_session();
  } catch (const nsrun::ErrorException& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return static_cast<int>(failure.error().exit);
  }
}
