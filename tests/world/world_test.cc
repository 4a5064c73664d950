// Real programs in worlds of functions.

#include "testing/world.h"

#include <signal.h>

#include <cctype>
#include <cstdlib>

#include "tests/support/catch.h"
#include "tests/support/container_skip.h"
#include "tests/support/dialers_far_side.h"

namespace nsrun::testing {
namespace {

using test::read_all;
using test::write_all;

Task<> greet(std::unique_ptr<Connection> client) {
  co_await write_all(*client, "hello\n");
  client->finish();
}

Task<> upper(std::unique_ptr<Connection> client) {
  std::vector<std::byte> buffer(65535);
  while (true) {
    const auto chunk = co_await client->read(buffer);
    if (!chunk || chunk->end) co_return;
    std::string text(as_text(Bytes(buffer).first(chunk->size)));
    for (char& c : text) c = static_cast<char>(std::toupper(c));
    co_await write_all(*client, text);
  }
}

Task<> many_bytes(std::unique_ptr<Connection> client) {
  // More than any buffer on the way holds, and then gone at once.
  co_await write_all(*client, std::string(4'000'000, 'x'));
}

Task<> hangs(std::unique_ptr<Connection> client) { (void)co_await read_all(*client); }

std::vector<std::string> curl(std::string url) { return {"curl", "-sS", "--max-time", "20", std::move(url)}; }

// Exchanges one line over TCP, or a datagram over UDP: HOST PORT TEXT [udp].
std::vector<std::string> say(std::string host, std::string port, std::string text, std::string how = "tcp") {
  const std::string program = R"(
import socket, sys
host, port, text, how = sys.argv[1:]
kind = socket.SOCK_DGRAM if how == "udp" else socket.SOCK_STREAM
family, _, _, _, address = socket.getaddrinfo(host, int(port), socket.AF_INET, kind)[0]
with socket.socket(family, kind) as far:
    far.settimeout(20)
    try:
        far.connect(address)
        far.sendall(text.encode())
        print(far.recv(65536).decode())
    except OSError as error:
        print("errno", error.errno)
)";
  return {"python3", "-c", program, std::move(host), std::move(port), std::move(text), std::move(how)};
}

TEST_CASE("a request over HTTPS is answered by a function", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  HttpRequest seen;
  world.on("api.example.com:443", [&](const HttpRequest& request) {
    seen = request;
    return HttpResponse{201, "made\n", {{"X-Test", "yes"}}};
  });
  auto words = curl("https://api.example.com/things?n=1");
  words.insert(words.end(), {"--data", "body", "-w", "%{http_code} %header{x-test}"});
  const auto outcome = world.run(words);
  INFO(outcome.to_string());
  CHECK(outcome.status == 0);
  CHECK(outcome.out.starts_with("made\n201"));
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/things?n=1");
  CHECK(seen.path() == "/things");
  CHECK(seen.body == "body");
  CHECK(seen.header("HOST") == "api.example.com");
  CHECK((seen.tls && seen.host == "api.example.com" && seen.port == 443));
  const auto flows = outcome.flows.to("api.example.com");
  REQUIRE(flows.size() == 1);
  CHECK(flows[0].name == "api.example.com");
  CHECK(flows[0].declared);
  CHECK(flows.bytes_down() > 5);
  CHECK(world.unexpected().empty());
  CHECK(world.troubles().empty());
}

TEST_CASE("several requests, and large ones, go over one connection", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  std::size_t received = 0;
  world.on("http/api.example.com:8080", [&](const HttpRequest& request) {
    received += request.body.size();
    return HttpResponse{200, std::string(300'000, 'y')};
  });
  // More than 1 MiB: curl asks whether it may send it first (Expect: 100-continue).
  const auto outcome =
      world.run({"sh", "-c",
                 "head -c 3000000 /dev/zero | curl -sS --max-time 20 --data-binary @- "
                 "http://api.example.com:8080/a http://api.example.com:8080/b | wc -c; "
                 "curl -sSI http://api.example.com:8080/ | tr -d '\\r' | grep -i content-length"});
  INFO(outcome.to_string());
  CHECK(outcome.out == "600000\nContent-Length: 300000\n");
  CHECK(received == 6'000'000);
  CHECK(outcome.flows.size() == 2);
}

TEST_CASE("streams, TLS on any port, and datagrams are handled as they come", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("mail.example.com:25", greet)
      .on("tcp/odd.example.com:443", upper)
      .on("udp/time.example.com:123", upper);
  world.on("tls/many.example.com:9443", many_bytes);
  CHECK(world.run(say("mail.example.com", "25", "x")).out == "hello\n\n");
  CHECK(world.run(say("odd.example.com", "443", "words")).out == "WORDS\n");
  CHECK(world.run(say("time.example.com", "123", "words", "udp")).out == "WORDS\n");
  const auto outcome = world.run(
      {"sh", "-c",
       "openssl s_client -quiet -verify_return_error -CAfile $SSL_CERT_FILE -servername many.example.com "
       "-connect many.example.com:9443 </dev/null 2>/dev/null | wc -c"});
  INFO(outcome.to_string());
  CHECK(outcome.out == "4000000\n");
  CHECK(world.unexpected().empty());
}

TEST_CASE("what is not declared is refused, and written down", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.refuse("known.example.com");
  CHECK(world.run(say("known.example.com", "80", "x")).out == "errno 111\n");  // ECONNREFUSED
  CHECK(world.unexpected().empty());
  CHECK(world.run(say("unknown.example.com", "80", "x")).out == "errno 111\n");
  CHECK(world.run(say("192.0.2.7", "80", "x", "udp")).out == "errno 111\n");
  CHECK(world.unexpected().hosts() == std::set<std::string>{"192.0.2.7", "unknown.example.com"});
  CHECK(world.flows().refused().size() == 3);
  CHECK(world.flows().connected().empty());
}

TEST_CASE("what is declared to be silent never answers", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.silence("slow.example.com");
  const auto outcome = world.run({"curl", "-sS", "--max-time", "0.3", "http://slow.example.com/"});
  CHECK(outcome.status == 28);  // curl's timeout
}

TEST_CASE("protected addresses can be declared, and only then are there", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  CHECK(world.run(curl("http://169.254.169.254/latest")).status == 7);  // curl: cannot connect
  world.on("169.254.169.254:80", HttpResponse{200, "metadata"});
  CHECK(world.run(curl("http://169.254.169.254/latest")).out == "metadata");
}

TEST_CASE("the first match counts, and the same one declared anew replaces it", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("a.example.com:80", HttpResponse{200, "one"}).on("*:80", HttpResponse{200, "any"});
  CHECK(world.run(curl("http://a.example.com/")).out == "one");
  CHECK(world.run(curl("http://b.example.com/")).out == "any");
  world.on("a.example.com:80", HttpResponse{200, "two"});
  CHECK(world.run(curl("http://a.example.com/")).out == "two");
}

TEST_CASE("a world's policy is the command's", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("*:80", HttpResponse{200, "any"});
  world.policy(
      {"deny secret.example.com", "redirect old.example.com=new.example.com", "allow *.example.com:80"});
  CHECK(world.run(curl("http://a.example.com/")).out == "any");
  CHECK(world.run(curl("http://other.example.net/")).status == 6);  // curl: no such name
  const auto redirected = world.run(curl("http://old.example.com/"));
  REQUIRE(redirected.flows.size() == 1);
  CHECK(redirected.flows[0].rule == "redirect old.example.com=new.example.com");
  CHECK(redirected.flows[0].dialled == "tcp/new.example.com:80");
  CHECK_THROWS_AS(world.policy({"permit a.example.com"}), ErrorException);
  CHECK_THROWS_AS(world.policy({"allow 127.1"}), ErrorException);
}

TEST_CASE("nothing is asked outside, whatever the record", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  const auto outcome = world.run({"dig", "+time=2", "+tries=1", "+short", "TXT", "example.com"});
  INFO(outcome.to_string());
  CHECK(outcome.status == 0);
  CHECK(outcome.out.empty());
}

TEST_CASE("a program gets input, environment and directory, and no proxy", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  ::setenv("https_proxy", "http://proxy.example.com:3128", 1);
  const auto outcome =
      world.run({"sh", "-c", "cat; pwd; echo $GREETING $https_proxy; echo oh >&2; exit 5"},
                {.input = "input\n", .environment = {{"GREETING", "hello"}}, .directory = "/usr"});
  ::unsetenv("https_proxy");
  CHECK(outcome.status == 5);
  CHECK(outcome.out == "input\n/usr\nhello\n");
  CHECK(outcome.err == "oh\n");
}

TEST_CASE("a program that does not end is ended", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("a.example.com:80", hangs);
  const auto outcome = world.run(say("a.example.com", "80", "x"), {.limit = std::chrono::seconds(2)});
  CHECK(outcome.timed_out);
  CHECK(outcome.flows.to("a.example.com").size() == 1);
}

TEST_CASE("a world can change while its program runs", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  int asked = 0;
  world.on("a.example.com:80", [&](const HttpRequest&) { return ++asked, HttpResponse{503, "busy\n"}; });
  auto program = world.start({"sh", "-c", "until curl -sSf http://a.example.com/ 2>/dev/null; do :; done"});
  REQUIRE(program.wait_until([&] { return asked == 2; }));
  CHECK(program.is_running());
  world.on("a.example.com:80", HttpResponse{200, "ready\n"});
  const auto outcome = program.wait();
  CHECK(outcome.out == "ready\n");
  CHECK_FALSE(program.is_running());
  CHECK_FALSE(program.wait_until([] { return false; }));
}

std::chrono::milliseconds time_of(World& world, const std::string& url) {
  const auto began = std::chrono::steady_clock::now();
  CHECK(world.run(curl(url)).status == 0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
}

TEST_CASE("what is far away takes its time, and what breaks off breaks off", "[world]") {
  if (skip(why_no_sandbox())) return;
  using std::chrono::milliseconds;
  World world;
  world.on("*:80", HttpResponse{200, std::string(100'000, 'x')});
  world.fault("far.example.com", "latency=3s").fault("broken.example.com", "down:reset_after=10kB");
  // Far from what a busy machine takes for a sandbox and a request.
  CHECK(time_of(world, "http://near.example.com/") < milliseconds(3000));
  CHECK(time_of(world, "http://far.example.com/") >= milliseconds(3000));
  const auto outcome = world.run(curl("http://broken.example.com/"));
  CHECK(outcome.status == 56);  // curl: the connection was reset
  CHECK(outcome.out.size() < 10'000);
  world.mend("far.example.com");
  CHECK(time_of(world, "http://far.example.com/") < milliseconds(3000));
  CHECK_THROWS_AS(world.fault("far.example.com", "distance=10"), ErrorException);
}

TEST_CASE("faults and policy change while a program runs", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  int asked = 0;
  world.on("a.example.com:80", [&](const HttpRequest&) { return ++asked, HttpResponse{200, "one\n"}; });
  // Until it is refused, and then until it is not.
  auto program = world.start({"sh", "-c",
                              "while curl -sS http://a.example.com/ >/dev/null 2>&1; do :; done; echo gone; "
                              "until curl -sSf http://a.example.com/ 2>/dev/null; do :; done"});
  REQUIRE(program.wait_until([&] { return asked >= 2; }));
  world.fault("a.example.com", "refuse");
  REQUIRE(program.wait_until([&] { return program.out() == "gone\n"; }));
  world.mend("a.example.com").policy({"reject a.example.com:80"});
  const auto tried = world.flows().size();
  REQUIRE(program.wait_until([&] { return world.flows().size() >= tried + 2; }));
  CHECK(world.flows()[world.flows().size() - 1].rule == "reject a.example.com:80");
  world.policy({});
  const auto outcome = program.wait();
  INFO(outcome.to_string());
  CHECK(outcome.out == "gone\none\n");
}

TEST_CASE("two programs run in one world at once", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("a.example.com:80", HttpResponse{200, "any"});
  auto one = world.start(curl("http://a.example.com/1"));
  auto two = world.start(curl("http://a.example.com/2"));
  CHECK(one.wait().out == "any");
  CHECK(two.wait().out == "any");
  CHECK(world.flows().size() == 2);
}

TEST_CASE("what a handler throws fails the test, and a signal reaches the program", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("a.example.com:80",
           [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("broken"); });
  CHECK_THROWS_WITH(world.run(curl("http://a.example.com/")), "broken");
  auto sleeper = world.start({"sleep", "1000"});
  sleeper.signal(SIGTERM);
  CHECK(sleeper.wait().status == 128 + SIGTERM);
  CHECK_THROWS_AS(world.run({"/no/such/program"}), ErrorException);
}

TEST_CASE("programs of every kind believe a world's authority", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("*:443", HttpResponse{200, "believed\n"});
  const std::vector<std::vector<std::string>> programs = {
      {"curl", "-sS", "https://a.example.com/"},
      {"python3", "-c",
       "import urllib.request as r; print(r.urlopen('https://a.example.com/').read().decode())"},
      {"wget", "-q", "-O", "-", "https://a.example.com/"},
      {"node", "-e", "fetch('https://a.example.com/').then(a => a.text()).then(console.log)"},
      {"sh", "-c", "git ls-remote https://a.example.com/x.git 2>&1 | grep -q 'not valid' && echo believed"},
      {"sh", "-c",
       "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error "
       "-servername a.example.com -connect a.example.com:443 2>/dev/null"}};
  std::string missing;
  for (const auto& program : programs) {
    if (std::system(("command -v " + program[0] + " >/dev/null 2>&1").c_str()) != 0) {
      missing += " " + program[0];
      continue;
    }
    const auto outcome = world.run(program);
    INFO(program[0] + " " + program.back() + "\n" + outcome.to_string());
    REQUIRE(outcome.out.find("believed") != std::string::npos);
  }
  // Last: ctest counts a test that prints a skip as skipped, even one that failed.
  if (!missing.empty()) skip("missing here:" + missing);
}

TEST_CASE("TLS that a program does not believe is told", "[world]") {
  if (skip(why_no_sandbox())) return;
  World world;
  world.on("a.example.com:443", HttpResponse{200, "never"});
  const auto outcome = world.run(
      {"env", "-u", "CURL_CA_BUNDLE", "-u", "SSL_CERT_FILE", "curl", "-sS", "https://a.example.com/"});
  CHECK(outcome.status == 60);  // curl: not to be trusted
  REQUIRE(world.troubles().size() == 1);
  CHECK(world.troubles()[0].find("a.example.com:443") != std::string::npos);
}

}  // namespace
}  // namespace nsrun::testing
