#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>
#include "tests/support/catch.h"

#include "host/services/wake/backends/docker_backend.h"
#include "host/services/wake/backends/health.h"
#include "tests/support/dialers_loop.h"

// A Docker API on a unix socket, as far as a test needs one: it answers by the request's first line.

using namespace nsrun;
using namespace nsrun::test;
using Status = Backend::Status;

namespace {

using Local = asio::local::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Local, Executor>;
using Socket = asio::basic_stream_socket<Local, Executor>;

std::string answer(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

struct Api {
  Api() : acceptor(loop.executor()) {
    REQUIRE(::mkdtemp(folder.data()));
    path = folder + "/api.sock";
    acceptor.open();
    acceptor.bind(Local::endpoint(path));
    acceptor.listen();
  }
  ~Api() { std::filesystem::remove_all(folder); }

  void run(Task<> body) {
    if (acceptor.is_open()) loop.beside.spawn(serve());
    loop.run(std::move(body));
  }
  Task<> serve() {
    for (;;) {
      auto [error, client] = co_await acceptor.async_accept(use_result);
      if (error) co_return;
      loop.beside.spawn(serve_one(std::move(client)));
    }
  }
  Task<> serve_one(Socket client) {
    std::string request;
    const auto buffer = asio::dynamic_buffer(request);
    const auto [error, size] = co_await asio::async_read_until(client, buffer, "\r\n\r\n", use_result);
    if (error) co_return;
    ++at_once;
    max_at_once = std::max(max_at_once, at_once);
    const bool waits = request.starts_with("POST");
    if (waits) co_await sleep_for(20ms);
    --at_once;
    const std::string text = answers(request.substr(0, request.find(" HTTP")));
    const auto bytes = asio::buffer(text);
    co_await asio::async_write(client, bytes, use_result);
    // Open for as long as the caller wants.
    char more;
    const auto rest = asio::buffer(&more, 1);
    co_await client.async_read_some(rest, use_result);
  }

  // What is listed, by what is asked of it.
  std::string answer_of_containers(const std::string& what) {
    asked.push_back(what);
    if (what.starts_with("GET /containers/json")) return answer(200, list());
    if (what.starts_with("POST"))
      return failing ? answer(500, "{\"message\":\"no " + what + "\"}") : answer(204, "");
    const auto id = what.substr(16, what.find("/json") - 16);
    return answer(200, "{\"State\":{\"Status\":\"" + containers[id] +
                           "\",\"Running\":" + (containers[id] == "running" ? "true" : "false") + "}}");
  }
  std::string list() const {
    std::string text;
    for (const auto& [id, state] : containers)
      text += (text.empty() ? "[" : ",") + ("{\"Id\":\"" + id + "\"}");
    return text.empty() ? "[]" : text + "]";
  }

  std::unique_ptr<DockerBackend> backend() {
    auto made = DockerBackend::make(*EndpointUrl::parse("unix://" + path), {{label}}, loop.executor(),
                                    [this](const std::string& what) { lines.push_back(what); });
    REQUIRE(made.has_value());
    return std::move(*made);
  }

  Loop loop;
  std::string folder = "/tmp/nsrun-test-XXXXXX", path, label = "nsrun.group=web";
  Acceptor acceptor;
  std::map<std::string, std::string> containers;
  bool failing = false;
  std::vector<std::string> lines, asked;
  int at_once = 0, max_at_once = 0;
  std::function<std::string(const std::string&)> answers = [this](const std::string& what) {
    return answer_of_containers(what);
  };
};

Result<Status> backend_status(Api& api) {
  const auto backend = api.backend();
  Result<Status> seen = Status::idle;
  const auto body = [](Backend& of, Result<Status>& into) -> Task<> { into = co_await of.status(); };
  api.run(body(*backend, seen));
  return seen;
}

Result<void> start_all(Api& api) {
  const auto backend = api.backend();
  Result<void> done;
  const auto body = [](Backend& of, Result<void>& into) -> Task<> { into = co_await of.start(); };
  api.run(body(*backend, done));
  return done;
}

}  // namespace

TEST_CASE("containers of which some run and some do not run partly") {
  Api api;
  CHECK(*backend_status(api) == Status::idle);
  api.containers = {{"a", "running"}, {"b", "exited"}};
  CHECK(*backend_status(api) == Status::partly);
  api.containers["b"] = "running";
  CHECK(*backend_status(api) == Status::running);
  api.containers = {{"a", "paused"}, {"b", "exited"}};
  CHECK(*backend_status(api) == Status::idle);
}

TEST_CASE("more containers than a group may have are an error, and none of them is asked for") {
  Api api;
  for (int i = 0; i < 257; ++i) api.containers["c" + std::to_string(i)] = "running";
  const auto seen = backend_status(api);
  REQUIRE_FALSE(seen.has_value());
  CHECK(seen.error().message() == "more than 256 containers have the label nsrun.group=web");
  CHECK(api.asked.size() == 1);
}

TEST_CASE("containers are started eight at once, and whose start fails is told") {
  Api api;
  for (int i = 0; i < 20; ++i) api.containers["c" + std::to_string(i)] = "exited";
  CHECK(start_all(api).has_value());
  CHECK(std::ranges::count_if(api.asked, [](const auto& each) { return each.starts_with("POST"); }) == 20);
  CHECK(api.max_at_once == 8);
  api.containers = {{"a", "exited"}, {"b", "exited"}, {"c", "exited"}, {"d", "exited"}, {"e", "exited"}};
  api.failing = true;
  const auto done = start_all(api);
  REQUIRE_FALSE(done.has_value());
  const auto said = done.error().message();
  for (const char* part : {"cannot start container a: the API answers 500", "container b:", "; and 2 more"})
    CHECK(said.find(part) != std::string::npos);
}

TEST_CASE("a label with control characters is asked for as it is") {
  Api api;
  api.label = "nsrun.group=a\nb\"";
  CHECK(backend_status(api).has_value());
  REQUIRE(api.asked.size() == 1);
  CHECK(api.asked[0].find("a%5Cnb%5C%22") != std::string::npos);
}

TEST_CASE("an API that may not be used is told of with who may") {
  if (::geteuid() == 0) return;  // who may use all
  Api api;
  ::chmod(api.path.c_str(), 0);
  const auto seen = backend_status(api);
  REQUIRE_FALSE(seen.has_value());
  const auto said = seen.error().message();
  CHECK(said.find("cannot reach the Docker API at unix://" + api.path) == 0);
  CHECK(said.find("for Docker the group docker") != std::string::npos);
}

namespace {

Task<> watch_for_a_moment(Backend& backend, Clock::duration moment) {
  co_await either(backend.watch([] {}), sleep_for(moment));
}

}  // namespace

TEST_CASE("who stops following the events is told of no trouble") {
  Api api;
  bool begins = false;
  api.answers = [&](const std::string&) {
    return std::string(begins ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" : "");
  };
  const auto backend = api.backend();
  api.run(watch_for_a_moment(*backend, 50ms));
  begins = true;
  api.run(watch_for_a_moment(*backend, 50ms));
  CHECK(api.lines.empty());
}

TEST_CASE("events that end as soon as they have begun are told of once, in plain words") {
  Api api;
  api.answers = [](const std::string&) { return answer(200, ""); };
  const auto backend = api.backend();
  api.run(watch_for_a_moment(*backend, 1700ms));  // three times
  REQUIRE(api.lines.size() == 1);
  CHECK(api.lines[0].find("cannot follow the events of the Docker API at unix://") == 0);
}

TEST_CASE("events of an API that is not there are not told of: whoever asks for the status is") {
  Api api;
  api.acceptor.close();
  const auto backend = api.backend();
  api.run(watch_for_a_moment(*backend, 50ms));
  CHECK(api.lines.empty());
}

TEST_CASE("an answer of a length that is only claimed takes no memory, and its events are heard") {
  Api api;
  api.answers = [](const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: "
           "99999999999\r\n\r\n{\"Action\":\"start\",\"Actor\":{\"Attributes\":"
           "{\"nsrun.group\":\"web\"}}}\n{\"Action\":\"die\"}\n";
  };
  const auto backend = api.backend();
  int changes = 0;
  const auto body = [](Backend& of, int& heard) -> Task<> {
    Signal changed(co_await asio::this_coro::executor);
    const auto three = [](Signal& at, int& count) -> Task<> {
      while (count < 3) co_await at.wait();  // the beginning, and two events
    };
    co_await either(of.watch([&] {
      ++heard;
      changed.raise();
    }),
                    three(changed, heard));
  };
  api.run(body(*backend, changes));
  CHECK(changes == 3);
  const auto seen = backend_status(api);
  REQUIRE_FALSE(seen.has_value());
  CHECK(seen.error().message().find("cannot list the containers") != std::string::npos);
}

TEST_CASE("a probe of http is ready by the status, however much follows or precedes it") {
  Api api;
  std::string text;
  api.answers = [&](const std::string&) { return text; };
  const auto at = *EndpointUrl::parse("unix://" + api.path);
  const auto probe = *http_probe("http:///x", &at, api.loop.executor());
  const auto is_ready = [&](const std::string& header) {
    text = "HTTP/1.1 200 OK\r\n" + header + "\r\n\r\nsome";
    bool ready = false;
    const auto body = [](Probe& of, bool& into) -> Task<> { into = co_await of.is_ready(); };
    api.run(body(*probe, ready));
    return ready;
  };
  CHECK(is_ready("Content-Length: 9000000"));
  CHECK(is_ready("Content-Type: text/event-stream"));
  CHECK(is_ready("X-Long: " + std::string(30'000, 'x')));
  CHECK_FALSE(is_ready("X-Long: " + std::string(100'000, 'x')));
}
