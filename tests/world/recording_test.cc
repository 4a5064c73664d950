// Sessions with real servers (tests/world/server.py, on loopback), recorded and replayed without them.

#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "tests/support/catch.h"

#include "runtime/command.h"
#include "testing/recording.h"
#include "testing/world.h"
#include "tests/support/container_skip.h"

namespace nsrun::testing {
namespace {

namespace fs = std::filesystem;

// The servers, a certificate of their own that this process trusts, and a folder for recordings.
class Servers {
 public:
  Servers() {
    std::string pattern = fs::temp_directory_path() / "nsrun-test-XXXXXX";
    if (!::mkdtemp(pattern.data())) throw ErrorException(errno_error("mkdtemp"));
    folder = pattern;
    const auto certificate = folder / "certificate.pem", key = folder / "key.pem";
    const auto made =
        std::system(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                     "-subj /CN=server -addext subjectAltName=DNS:api.example.com -keyout " +
                     key.string() + " -out " + certificate.string() + " 2>/dev/null")
                        .c_str());
    REQUIRE(made == 0);
    ::setenv("SSL_CERT_FILE", certificate.c_str(), 1);
    start_servers(certificate, key);
  }
  ~Servers() {
    stop();
    ::unsetenv("SSL_CERT_FILE");
    fs::remove_all(folder);
  }
  void stop() {
    if (input_) ::pclose(input_);
    input_ = nullptr;
  }

  // In a world where these are the servers' names.
  std::vector<std::string> redirects() const {
    return {
        "redirect plain.example.com:80=127.0.0.1:" + http, "redirect api.example.com:443=127.0.0.1:" + https,
        "redirect greeter.example.com=127.0.0.1:" + greeter, "redirect echo.example.com=127.0.0.1:" + udp};
  }

  fs::path folder;
  std::string http, https, greeter, udp;

 private:
  void start_servers(const fs::path& certificate, const fs::path& key) {
    const auto ports = folder / "ports";
    ::mkfifo(ports.c_str(), 0600);
    input_ = ::popen(("exec python3 " NSRUN_SOURCE_DIR "/tests/world/server.py " + certificate.string() +
                      " " + key.string() + " >" + ports.string())
                         .c_str(),
                     "we");
    std::ifstream(ports) >> http >> https >> greeter >> udp;
  }
  std::FILE* input_ = nullptr;
};

const std::vector<std::string> session = {"sh", "-c", R"(
curl -sS http://plain.example.com/one http://plain.example.com/two
curl -sS https://api.example.com/one
head -c 25000 /dev/zero | tr '\0' z | curl -sS --data-binary @- https://api.example.com/post | wc -c
curl -sSI http://plain.example.com/ >/dev/null
python3 - <<'END'
import socket
with socket.create_connection(("greeter.example.com", 99)) as far, far.makefile("rw") as file:
    print(file.readline().strip())
    print("words", file=file, flush=True)
    print(file.readline().strip())
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
    far.settimeout(20)
    far.connect((socket.gethostbyname("echo.example.com"), 99))
    far.send(b"datagram\0")
    print(far.recv(100))
END
)"};

TEST_CASE("a session is recorded, and replayed without the servers", "[recording]") {
  if (skip(why_no_sandbox())) return;
  Servers servers;
  const auto file = servers.folder / "session.json";
  std::string recorded;
  {
    World world;
    world.policy(servers.redirects());
    const auto outcome = world.record(file, session);
    INFO(outcome.to_string());
    REQUIRE(outcome.status == 0);
    recorded = outcome.out;
    CHECK(recorded.starts_with("answer one, the 1-th\nanswer two, the 2-th\nanswer one, the 3-th\n25000\n"));
    CHECK(recorded.ends_with("220 speak\nWORDS\nb'DATAGRAM\\x00'\n"));
    CHECK(world.troubles().empty());
  }
  servers.stop();

  World world;
  world.policy(servers.redirects());
  world.replay(file);
  const auto outcome = world.run(session);
  INFO(outcome.to_string());
  CHECK(outcome.out == recorded);
  CHECK(world.troubles().empty());
  CHECK(world.unexpected().empty());

  // Each answer once; and what was never asked, never.
  const auto again = world.run({"curl", "-sS", "http://plain.example.com/one"});
  CHECK(again.status == 56);  // curl: the connection was reset
  REQUIRE(world.troubles().size() == 1);
  CHECK(world.troubles()[0].ends_with("/one"));
  world.run({"curl", "-sS", "http://elsewhere.example.com/"});
  CHECK(world.unexpected().hosts() == std::set<std::string>{"elsewhere.example.com"});
}

TEST_CASE("a server that cannot prove its name is not recorded", "[recording]") {
  if (skip(why_no_sandbox())) return;
  Servers servers;
  World world;
  world.policy({"redirect other.example.com:443=127.0.0.1:" + servers.https});
  const auto outcome =
      world.record(servers.folder / "session.json", {"curl", "-sS", "https://other.example.com/"});
  CHECK(outcome.status != 0);
  REQUIRE(world.troubles().size() == 1);
  CHECK(world.troubles()[0].find("not to be trusted") != std::string::npos);
}

TEST_CASE("a recording is the same when it was written and read", "[recording]") {
  Recording recording;
  RecordedFlow flow{Protocol::tcp, "api.example.com", 443, true};
  flow.exchanges.push_back(
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", std::string("HTTP/1.1 200 OK\r\n\r\n\x01\x00\xff", 22), true});
  recording.push_back(flow);
  RecordedFlow raw{Protocol::udp, "192.0.2.1", 53};
  raw.pieces = {{true, std::string("\0\xfe", 2)}, {false, "plain \"text\"\n"}};
  recording.push_back(raw);
  RecordedFlow refused{Protocol::tcp, "no.example.com", 80};
  refused.refused = true;
  recording.push_back(refused);

  const auto text = to_json(recording);
  CHECK(text.find("\"head\": \"GET / HTTP/1.1") != std::string::npos);
  const auto read = recording_from_json(text).value();
  REQUIRE(read.size() == 3);
  CHECK(read[0].tls);
  CHECK(read[0].exchanges[0].request == flow.exchanges[0].request);
  CHECK(read[0].exchanges[0].response == flow.exchanges[0].response);
  CHECK(read[0].exchanges[0].closes);
  CHECK(read[1].pieces[0].bytes == raw.pieces[0].bytes);
  CHECK(read[1].pieces[0].up);
  CHECK(read[1].pieces[1].bytes == raw.pieces[1].bytes);
  CHECK(read[2].refused);
  CHECK(to_json(read) == text);
}

TEST_CASE("a recording that is none says why", "[recording]") {
  for (const char* text :
       {"", "{}", "[]", R"({"format": "nsrun session 2", "flows": []})",
        R"({"format": "nsrun session 1", "flows": [{"protocol": "sctp"}]})",
        R"({"format": "nsrun session 1", "flows": [{"protocol": "tcp", "host": "a", "port": 70000}]})",
        R"({"format": "nsrun session 1", "flows": [{"protocol": "tcp", "host": "a", "port": 7,
                               "pieces": [{"up_base64": "*"}]}]})"}) {
    const auto read = recording_from_json(text);
    CHECK(!read);
    if (!read) CHECK(!read.error().message().empty());
  }
  World world;
  CHECK_THROWS_AS(world.replay("/no/such/file"), ErrorException);
}

}  // namespace
}  // namespace nsrun::testing
