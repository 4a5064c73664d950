#include "tests/support/catch.h"

#include "host/services/wake/wake_config.h"

using namespace nsrun;

namespace {

const std::string good_groups = R"(groups:
- name: web
  listen: tcp://:8080=tcp://127.0.0.1:8000
  exec: ./server --port 8000
  idle: 30
  idle-by: both
  threshold: 30packets
  wake-threshold: 5packets
  probe: test -e ready
  start-timeout: 2min
  stop-timeout: 500ms
- name: db
  listen: [tcp://:5432=tcp://127.0.0.1:5433, udp://:53=udp://127.0.0.1:5353]
  systemd: postgresql.service
  user: yes
- {name: box, listen: "tcp://:1=tcp://h:2", docker: mygroup, health: no, sleep: pause}
- {name: jail, listen: "tcp://:2=guest+tcp://127.0.0.1:80", sandbox: [--allow, h, --, ./server]}
)";

Result<std::vector<WakeSpec>> parse(const std::string& text) {
  return parse_wake_config(text, "w.yaml", "unix:///run/podman.sock");
}

std::string error_of(const std::string& text) {
  const auto groups = parse(text);
  if (!groups) CHECK(groups.error().exit == ExitCode::usage);
  return groups ? "it is fine" : groups.error().message();
}

std::string groups_with(const std::string& from, const std::string& to) {
  std::string text = good_groups;
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("a file says what each group that wakes is") {
  const auto groups = parse(good_groups);
  REQUIRE(groups.has_value());
  REQUIRE(groups->size() == 4);
  const auto& web = (*groups)[0];
  CHECK(web.options.name == "web");
  CHECK(web.exec == "./server --port 8000");
  CHECK(web.options.idle == 30s);
  CHECK(web.options.by_traffic);
  CHECK(web.options.by_connections);
  CHECK(web.options.unit == WakeGroup::Unit::packets);
  CHECK(web.options.least == 30);
  CHECK(web.options.wake_least == 5);
  CHECK_FALSE(web.options.by_arrivals);
  CHECK(web.probe == "test -e ready");
  CHECK(web.options.start_limit == 120s);
  CHECK(web.stop_limit == 500ms);
  const auto& db = (*groups)[1];
  CHECK(db.systemd == "postgresql.service");
  CHECK(db.systemd_user);
  CHECK(db.forwards.size() == 2);
  CHECK(db.options.idle == 300s);
  const auto& box = (*groups)[2];
  CHECK(box.labels == std::vector<std::string>{"proxytainer.group=mygroup", "lazytainer.group=mygroup",
                                               "nsrun.group=mygroup"});
  CHECK_FALSE(box.uses_health);
  CHECK(box.pauses);
  CHECK(box.docker == "unix:///run/podman.sock");
  CHECK((*groups)[3].sandbox == std::vector<std::string>{"--allow", "h", "--", "./server"});
}

TEST_CASE("what is wrong with a file is said with its line and its key") {
  const auto begins = [](const std::string& text, const std::string& expected) {
    const auto error = error_of(text);
    CAPTURE(expected);
    CHECK(error.substr(0, expected.size()) == expected);
  };
  begins("", "w.yaml:1:1: the file is empty");
  begins("groups: []\n", "w.yaml:1:1: groups: the list is empty");
  begins("groups: 1\n", "w.yaml:1:1: groups: this is not a list");
  begins("group: []\n", "w.yaml:1:1: group: there is no such key");
  begins(groups_with("idle: 30", "idle: soon"), "w.yaml:5:9: idle: the time 'soon' is not a valid duration");
  begins(groups_with("  exec:", "  exce:"), "w.yaml:4:3: exce: there is no such key");
  begins(groups_with("- name: db", "- name: web"), "w.yaml:12:3: there is a group 'web' already");
  begins(groups_with("  exec: ./server --port 8000\n", ""), "w.yaml:2:3: web has nothing to start");
  begins(groups_with("  idle: 30\n", "  systemd: a\n"), "w.yaml:5:12: systemd: there is exec already");
  begins(groups_with("  idle: 30\n", "  sandbox: [true]\n"), "w.yaml:5:3: sandbox: there is exec already");
  begins(groups_with("[--allow, h, --, ./server]", "[]"),
         "w.yaml:17:3: jail has a sandbox without a command");
  begins(groups_with("[--allow, h, --, ./server]", "{}"), "w.yaml:17:61: sandbox: this is not a text");
  begins(groups_with("user: yes", "user: maybe"), "w.yaml:15:9: user: 'maybe' is neither");
  begins(groups_with("tcp://127.0.0.1:8000", "udp://127.0.0.1:8000"), "w.yaml:3:11: listen: cannot forward");
  begins(groups_with("  idle: 30\n", "  idle: 30\n  idle: 31\n"), "w.yaml:6:3: idle: is said twice");
}

TEST_CASE("the Docker API is where the option says, or the environment, or where it usually is") {
  CHECK(docker_endpoint("tcp://localhost:2375", "unix:///x")->to_string() == "tcp://localhost:2375");
  CHECK(docker_endpoint("", "unix:///run/user/1000/podman.sock")->path == "/run/user/1000/podman.sock");
  CHECK_FALSE(docker_endpoint("ssh://host", nullptr).has_value());
  CHECK_FALSE(docker_endpoint("tls://host:2376", nullptr).has_value());
}

TEST_CASE("a threshold is in packets or bytes") {
  WakeGroup::Options options;
  REQUIRE(take_threshold("4kB", options).has_value());
  CHECK(options.unit == WakeGroup::Unit::bytes);
  CHECK(options.least == 4000);
  for (const char* text : {"", "0packets", "0B", "-1packets", "30 apples", "packets"})
    CHECK_FALSE(take_threshold(text, options).has_value());
}

TEST_CASE("a wake threshold is a number of packets") {
  WakeGroup::Options options;
  REQUIRE(take_wake_threshold("12", options).has_value());
  CHECK(options.wake_least == 12);
  REQUIRE(take_wake_threshold("30packets", options).has_value());
  CHECK(options.wake_least == 30);
  CHECK(options.by_arrivals);
  for (const char* text : {"", "0", "4kB", "packets", "-1"})
    CHECK_FALSE(take_wake_threshold(text, options).has_value());
}

TEST_CASE("RUST_LOG is read as env_logger reads it") {
  using Level = WakeLevel;
  CHECK(parse_wake_level("") == Level::info);
  CHECK(parse_wake_level("off") == Level::off);
  CHECK(parse_wake_level("Error") == Level::error);
  CHECK(parse_wake_level("trace") == Level::debug);
  CHECK(parse_wake_level("warn,proxytainer=debug") == Level::debug);
  CHECK(parse_wake_level("debug,nsrun=warn,tokio=trace") == Level::warn);
  CHECK(parse_wake_level("proxytainer") == Level::debug);
  CHECK(parse_wake_level("info/some.text") == Level::info);
  CHECK(parse_wake_level("tokio=debug") == Level::off);
  CHECK_FALSE(parse_wake_level("proxytainer=loud").has_value());
}
