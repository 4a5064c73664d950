#include "tests/support/catch.h"

#include "host/services/wake/backends/docker_answers.h"
#include "host/services/wake/backends/systemd_backend.h"

using namespace nsrun;
using Status = Backend::Status;

namespace {

Status status_of(std::string_view state, bool uses_health = true) {
  const auto seen = docker::parse_inspection("{\"State\":" + std::string(state) + "}", uses_health);
  REQUIRE(seen.has_value());
  return seen->status;
}

}  // namespace

TEST_CASE("a list of containers gives their ids") {
  const auto ids = docker::parse_list(R"([{"Id":"0a1b","Names":["/web"]},{"Id":"ff"}])");
  REQUIRE(ids.has_value());
  CHECK(*ids == std::vector<std::string>{"0a1b", "ff"});
  CHECK(docker::parse_list("[]")->empty());
}

TEST_CASE("what is no list of containers is an error, and so is an id that is none") {
  for (const char* text : {"", "{}", "[1]", "[{}]", "[{\"Id\":3}]", "[{\"Id\":\"\"}]",
                           "[{\"Id\":\"../images\"}]", "[{\"Id\":\"a b\"}]", "[{\"Id\":\"a\"}"})
    CHECK_FALSE(docker::parse_list(text).has_value());
}

TEST_CASE("a container runs when it runs and is healthy, or has no health") {
  CHECK(status_of(R"({"Status":"running","Running":true})") == Status::running);
  CHECK(status_of(R"({"Status":"running","Running":true,"Health":{"Status":"healthy"}})") == Status::running);
  CHECK(status_of(R"({"Status":"running","Running":true,"Health":{"Status":"none"}})") == Status::running);
  // Podman's, where there is no check.
  CHECK(status_of(R"({"Status":"running","Running":true,"Health":{"Status":""}})") == Status::running);
  CHECK(status_of(R"({"Status":"running","Running":true,"Health":null})") == Status::running);
}

TEST_CASE("a container that is not healthy yet, or not any more, or restarts, is starting") {
  CHECK(status_of(R"({"Running":true,"Health":{"Status":"starting"}})") == Status::starting);
  CHECK(status_of(R"({"Running":true,"Health":{"Status":"unhealthy"}})") == Status::starting);
  CHECK(status_of(R"({"Running":true,"Health":{"Status":"unhealthy"}})", false) == Status::running);
  CHECK(status_of(R"({"Status":"restarting","Running":true,"Restarting":true})") == Status::starting);
}

TEST_CASE("every other container is idle, a paused one too") {
  for (const char* status : {"created", "exited", "dead", "removing", "stopping", "new"})
    CHECK(status_of("{\"Status\":\"" + std::string(status) + "\",\"Running\":false}") == Status::idle);
  const auto paused =
      docker::parse_inspection(R"({"State":{"Status":"paused","Running":true,"Paused":true}})", true);
  REQUIRE(paused.has_value());
  CHECK(paused->status == Status::idle);
  CHECK(paused->is_paused);
}

TEST_CASE("a container is described by its name, its labels, what it exposes and its network") {
  const auto seen = docker::parse_description(
      R"({"Name":"/whoami1","Config":{"Labels":{"a":"b","n":1},"ExposedPorts":{"81/tcp":{},"53/udp":{}}},)"
      R"("HostConfig":{"NetworkMode":"container:ff"}})");
  REQUIRE(seen.has_value());
  CHECK(seen->name == "whoami1");
  CHECK(seen->labels == std::map<std::string, std::string>{{"a", "b"}, {"n", ""}});
  CHECK(seen->exposed == std::vector<std::string>{"81/tcp", "53/udp"});
  CHECK(seen->network_mode == "container:ff");
  // A name goes into a URL.
  for (const char* text :
       {"{}", R"({"Name":"/a"})", R"({"Name":"/a@b:1","Config":{}})", R"({"Name":"","Config":{}})"})
    CHECK_FALSE(docker::parse_description(text).has_value());
}

TEST_CASE("what is no container is an error") {
  for (const char* text : {"", "[]", "{}", "{\"State\":1}", "{\"State\":[]}", "{\"State\""})
    CHECK_FALSE(docker::parse_inspection(text, true).has_value());
}

TEST_CASE("an event concerns who has one of the labels, and whom it may") {
  const std::vector<std::string> labels = {"proxytainer.group=web", "nsrun.group=web"};
  CHECK(docker::concerns(R"({"Actor":{"Attributes":{"nsrun.group":"web"}}})", labels));
  CHECK_FALSE(docker::concerns(R"({"Actor":{"Attributes":{"nsrun.group":"other"}}})", labels));
  CHECK_FALSE(docker::concerns(R"({"Actor":{"Attributes":{}}})", labels));
  CHECK(docker::concerns("{}", labels));
  CHECK(docker::concerns("nonsense", labels));
}

TEST_CASE("an event concerns nobody when it is of what is done in a container") {
  const auto concerned = [](const std::string& action) {
    return docker::concerns(R"({"Action":")" + action + R"(","Actor":{"Attributes":{"nsrun.group":"web"}}})",
                            {"nsrun.group=web"});
  };
  for (const char* action :
       {"start", "die", "died", "health_status: healthy", "health_status", "oom", "destroy"})
    CHECK(concerned(action));
  for (const char* action :
       {"exec_create: sh -c true", "exec_start: sh", "exec_die", "top", "attach", "resize"})
    CHECK_FALSE(concerned(action));
}

TEST_CASE("the message of an error is shown in one line") {
  CHECK(docker::parse_message(R"({"message":"No such\ncontainer"})") == "No suchcontainer");
  CHECK(docker::parse_message("nonsense").empty());
  CHECK(docker::parse_message("{\"message\":\"" + std::string(1000, 'x') + "\"}").size() == 200);
}

TEST_CASE("a unit runs when it is active") {
  const auto of = [](const std::string& state) {
    return *SystemdBackend::understand("u", "LoadState=loaded\nActiveState=" + state + "\n");
  };
  CHECK(of("active") == Status::running);
  CHECK(of("reloading") == Status::running);
  CHECK(of("activating") == Status::starting);
  for (const char* state : {"inactive", "failed", "deactivating"}) CHECK(of(state) == Status::idle);
  CHECK_FALSE(SystemdBackend::understand("u", "LoadState=not-found\nActiveState=inactive\n").has_value());
  CHECK_FALSE(SystemdBackend::understand("u", "").has_value());
}

TEST_CASE("a unit that is not loaded is told of as what it is") {
  const auto said = [](const std::string& load) {
    return SystemdBackend::understand("u", "LoadState=" + load + "\nActiveState=inactive\n")
        .error()
        .message();
  };
  CHECK(said("not-found").find("there is no unit 'u'") == 0);
  CHECK(said("masked").find("the unit 'u' is masked") == 0);
  CHECK(said("bad-setting").find("(LoadState=bad-setting)") != std::string::npos);
}
