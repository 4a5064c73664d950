#include "tests/support/catch.h"

#include "host/services/wake/wake_labels.h"

using namespace nsrun;

namespace {

using Labels = std::map<std::string, std::string>;

std::string labels_error(const Labels& labels) {
  const auto groups = parse_wake_labels(labels, "");
  if (!groups) CHECK(groups.error().exit == ExitCode::usage);
  return groups ? "it is fine" : groups.error().message();
}

docker::Description container(std::string name, std::vector<std::string> exposed, std::string mode = "") {
  return {
      .name = std::move(name), .labels = {}, .exposed = std::move(exposed), .network_mode = std::move(mode)};
}

std::vector<std::string> forwards_of(const WakeSpec& spec) {
  std::vector<std::string> all;
  for (const auto& forward : spec.forwards) all.push_back(forward.to_string());
  return all;
}

}  // namespace

TEST_CASE("labels describe groups as Lazytainer has them") {
  const auto groups = parse_wake_labels({{"lazytainer.group.web.ports", "81, 82"},
                                         {"lazytainer.group.web.inactiveTimeout", "45"},
                                         {"lazytainer.group.web.minPacketThreshold", "10"},
                                         {"lazytainer.group.web.sleepMethod", "pause"},
                                         {"lazytainer.group.web.ignoreActiveClients", "true"},
                                         {"lazytainer.group.web.pollRate", "1"},
                                         {"lazytainer.group.web.netInterface", "eth1"},
                                         {"nsrun.group.web.host", "whoami"},
                                         {"lazytainer.group.db.ports", "5432"},
                                         {"com.docker.compose.project", "x"}},
                                        "unix:///d.sock");
  REQUIRE(groups.has_value());
  REQUIRE(groups->size() == 2);
  const auto& db = (*groups)[0].spec;
  CHECK(db.options.name == "db");
  CHECK(db.options.idle == 30s);
  CHECK(db.options.least == 30);
  CHECK(db.options.wake_least == 30);
  CHECK(db.options.unit == WakeGroup::Unit::packets);
  CHECK((db.options.by_traffic && db.options.by_connections && !db.options.by_arrivals));
  CHECK(db.labels[1] == "lazytainer.group=db");
  CHECK_FALSE(db.pauses);
  const auto& web = (*groups)[1];
  CHECK(web.ports == std::vector<std::uint16_t>{81, 82});
  CHECK(web.host == "whoami");
  CHECK(web.spec.options.idle == 45s);
  CHECK(web.spec.options.least == 10);
  CHECK(web.spec.options.wake_least == 10);
  CHECK(web.spec.pauses);
  CHECK_FALSE(web.spec.options.by_connections);
  CHECK(web.spec.docker == "unix:///d.sock");
}

TEST_CASE("a label that is wrong is named") {
  const std::string ports = "lazytainer.group.a.ports";
  const auto with = [&](const std::string& label, const std::string& value) {
    return labels_error({{ports, "81"}, {label, value}});
  };
  CHECK(labels_error({}).find("no label lazytainer.group.NAME.ports") != std::string::npos);
  CHECK(labels_error({{"lazytainer.group.a.inactiveTimeout", "3"}}).find("no label " + ports) !=
        std::string::npos);
  for (const char* value : {"", "81,", "0", "65536", "http"})
    CHECK(labels_error({{ports, value}}).find("label " + ports + "=" + value) != std::string::npos);
  CHECK(with("lazytainer.group.a.inactiveTimeout", "30s").find("number of seconds") != std::string::npos);
  CHECK(with("lazytainer.group.a.minPacketThreshold", "-1").find("number of packets") != std::string::npos);
  CHECK(with("lazytainer.group.a.sleepMethod", "kill").find("neither stop nor pause") != std::string::npos);
  CHECK(with("lazytainer.group.a.ignoreActiveClients", "yes").find("neither") != std::string::npos);
  CHECK(with("lazytainer.group.a.port", "1").find("is not known") != std::string::npos);
}

TEST_CASE("a port leads to the container that exposes it, and one of two groups wakes both") {
  const Labels labels = {{"lazytainer.group.one.ports", "81"}, {"lazytainer.group.two.ports", "81,82"}};
  const auto specs = with_forwards(
      *parse_wake_labels(labels, ""),
      {{container("helper", {}), container("whoami1", {"81/tcp"})}, {container("whoami2", {"82/tcp"})}});
  REQUIRE(specs.has_value());
  const std::vector<std::string> shared = {"tcp://*:81=tcp://whoami1:81", "udp://*:81=udp://whoami1:81"};
  CHECK(forwards_of((*specs)[0]) == shared);
  const auto two = forwards_of((*specs)[1]);
  CHECK(std::vector<std::string>(two.begin(), two.begin() + 2) == shared);
  CHECK(two[2] == "tcp://*:82=tcp://whoami2:82");
}

TEST_CASE("a port that leads nowhere, or to the network that is nsrun's own, is an error") {
  const Labels labels = {{"lazytainer.group.a.ports", "81"}};
  const auto nowhere = with_forwards(*parse_wake_labels(labels, ""), {{}});
  REQUIRE_FALSE(nowhere.has_value());
  CHECK(nowhere.error().message().find("nsrun.group.a.host=HOST") != std::string::npos);
  const auto shared =
      with_forwards(*parse_wake_labels(labels, ""), {{container("app", {}, "container:abc")}});
  REQUIRE_FALSE(shared.has_value());
  CHECK(shared.error().message().find("has its network from another container") != std::string::npos);
}
