// Tests a shell script that uses curl, in a world of functions: no server, no network, no change to the
// script.
//
//   example_world_curl
//
//   sandbox: sh, curl ─► api.example.com:443 ─► a function below       TLS by an authority of the world's
//                     ─► api.example.com:80  ─► a redirect
//                     ─► elsewhere           ─► refused, and written down

#include <nsrun/testing/world.h>
#include <cstdio>
#include <cstdlib>

namespace {

using nsrun::testing::HttpRequest, nsrun::testing::HttpResponse, nsrun::testing::World;

// The script under test: looks a user up, and tells statistics, which may fail.
constexpr auto script = R"(
user=$(curl -sSL "http://api.example.com/users/$1") || exit 3
echo "hello $user"
curl -s --data "seen=$1" https://statistics.example.net/ || echo "no statistics" >&2
)";

void check(bool holds, const char* what, const std::string& seen) {
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", what);
  if (holds) return;
  std::printf("%s\n", seen.c_str());
  std::exit(1);
}

void test_script() {
  World world;
  int asked = 0;
  world.on("api.example.com:80", HttpResponse{301, "", {{"Location", "https://api.example.com/users/7"}}});
  world.on("api.example.com:443", [&](const HttpRequest& request) {
    ++asked;
    if (request.path() != "/users/7") return HttpResponse{404, "nobody"};
    return HttpResponse{200, "Ada", {{"Content-Type", "text/plain"}}};
  });

  const auto outcome = world.run({"sh", "-c", script, "script", "7"});
  const auto seen = outcome.to_string();
  check(outcome.status == 0 && outcome.out == "hello Ada\n", "the user is greeted", seen);
  check(asked == 1, "the user is asked for once", seen);
  check(outcome.err == "no statistics\n", "statistics may fail", seen);
  check(outcome.flows.to("api.example.com").connected().size() == 2, "the redirect is followed", seen);
  check(world.unexpected().hosts() == std::set<std::string>{"statistics.example.net"},
        "nothing else was tried", seen);
}

}  // namespace

int main() {
  try {
    test_script();
  } catch (const nsrun::ErrorException& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return static_cast<int>(failure.error().exit);
  }
}
