#include "host/services/proxy/http_proxy.h"

#include <regex>
#include "tests/support/catch.h"

#include "host/policy/make_rule.h"
#include "host/policy/rule_policy.h"
#include "tests/support/dialers_far_side.h"
#include "tests/support/service_world.h"

//   client ──► HttpProxy ──► Service: judge, dial, relay ──► origins on 127.0.0.1
//                             │ mapped: site.example:80, other.example:80, tunnel.example:443

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::string_view proxy_answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// An origin: keeps what it is sent, and answers each head that is whole with the next of its answers; one
// that is empty ends the connection.
struct Origin {
  Origin(Loop& in, std::vector<std::string> with) : answers(std::move(with)) {
    UniqueFd listener = listening_socket(loopback4);
    port = bound_endpoint(listener.get()).port;
    serve_stream(in, std::move(listener), [this](auto connection) { return serve(std::move(connection)); });
  }
  Task<> serve(std::unique_ptr<Connection> connection) {
    ++connections;
    for (;;) {
      const auto head = co_await read_until(*connection, "\r\n\r\n");
      if (!head.ends_with("\r\n\r\n")) co_return;
      heads.push_back(head);
      for (; bodies > 0; --bodies) body += co_await next_of(*connection);
      if (next == answers.size() || answers[next].empty()) co_return;
      const std::string text = answers[next++];
      co_await write_all(*connection, text);
      if (text.find("Content-Length") == text.npos && text.find("chunked") == text.npos) co_return;
    }
  }
  std::uint16_t port = 0;
  std::vector<std::string> answers, heads;
  std::string body;
  int bodies = 0;  // reads after the next head
  std::size_t next = 0, connections = 0;
};

struct ProxyWorld : ServiceWorld {
  explicit ProxyWorld(std::vector<Rule> rules = {}, HttpProxy::Limits limits = {})
      : policy({}, names, std::make_shared<const RuleSet>(std::move(rules))),
        proxy(HttpProxy::bind(service, url("tcp://127.0.0.1:0"), map, names, policy, limits).value()) {
    proxy->begin();
  }
  void offer(const std::string& place, std::uint16_t port) { REQUIRE(map.add(this, place, port)); }
  Task<std::unique_ptr<Connection>> client() {
    return connect_to(loop.executor(), static_cast<std::uint16_t>(proxy->where().port));
  }
  // What a client gets that says this, and then waits for the end.
  std::string ask(const std::string& text) {
    std::string heard;
    const auto body = [](ProxyWorld& in, std::string words, std::string& all) -> Task<> {
      const auto client = co_await in.client();
      co_await write_all(*client, words);
      all = co_await read_all(*client);
    };
    run(body(*this, text, heard));
    return heard;
  }

  SyntheticNames names;
  RulePolicy policy;
  DomainMap map;
  std::unique_ptr<HttpProxy> proxy;
};

std::string get(const std::string& url) { return "GET " + url + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

std::string status_of(const std::string& heard) { return heard.substr(0, heard.find("\r\n")); }

std::string without_via(const std::string& head) {
  return std::regex_replace(head, std::regex("Via: 1.[01] nsrun-[0-9a-f]{8}\r\n"), "");
}

}  // namespace

TEST_CASE("CONNECT to a place of the map leads to its port, with what was said early, and half-closes") {
  ProxyWorld world;
  UniqueFd listener = listening_socket(loopback4);
  world.offer("tunnel.example:443", bound_endpoint(listener.get()).port);
  serve_stream(world.loop, std::move(listener), echo);
  const auto body = [](ProxyWorld& in) -> Task<> {
    for (const std::string early : {"", "early"}) {
      const auto client = co_await in.client();
      co_await write_all(*client,
                         "CONNECT Tunnel.Example HTTP/1.1\r\nHost: tunnel.example:443\r\n\r\n" + early);
      const auto head = co_await read_until(*client, "\r\n\r\n");
      CHECK(head == "HTTP/1.1 200 Connection Established\r\n\r\n");
      co_await write_all(*client, "late");
      client->finish();
      const auto echoed = co_await read_all(*client);
      CHECK(echoed == early + "late");
    }
  };
  world.run(body(world));
  REQUIRE(world.ended.size() == 2);
  CHECK(world.ended[0].ends_with(" closed"));
}

TEST_CASE("CONNECT to what cannot be reached, or may not, is a bad gateway") {
  ProxyWorld world;
  const UniqueFd closed = bound_socket(loopback4, SOCK_STREAM);
  world.offer("gone.example:443", bound_endpoint(closed.get()).port);
  CHECK(status_of(world.ask("CONNECT gone.example:443 HTTP/1.1\r\n\r\n")) == "HTTP/1.1 502 Bad Gateway");
  REQUIRE(world.ended.size() == 1);
  CHECK(world.ended[0].ends_with(" failed"));
}

TEST_CASE("what is not in the map is as reachable as the policy says: this machine is not by itself") {
  for (const bool allowed : {false, true}) {
    std::vector<Rule> rules;
    if (allowed) rules.push_back(make_rule(Action::allow, "127.0.0.1").value());
    ProxyWorld world(std::move(rules));
    Origin origin(world.loop, {"HTTP/1.0 200 OK\r\n\r\nbare"});
    const auto heard = world.ask(get("http://127.0.0.1:" + std::to_string(origin.port) + "/"));
    CHECK(status_of(heard) == (allowed ? "HTTP/1.1 200 OK" : "HTTP/1.1 502 Bad Gateway"));
    CHECK(origin.connections == (allowed ? 1 : 0));
  }
}

TEST_CASE("an address that stands for a name here is not that name for another client") {
  ProxyWorld world({make_rule(Action::allow, "127.0.0.1").value(),
                    make_rule(Action::allow, "localhost").value(),
                    make_rule(Action::reject, "198.18.0.0/15").value()});
  Origin origin(world.loop, {std::string(proxy_answer), std::string(proxy_answer)});
  std::vector<std::string> heard;
  const auto body = [](ProxyWorld& in, std::uint16_t port, std::vector<std::string>& all) -> Task<> {
    for (const bool by_name : {true, false}) {
      const auto host = by_name ? "localhost" : in.names.v4_for("localhost").to_string();
      const auto client = co_await in.client();
      co_await write_all(*client, "GET http://" + host + ":" + std::to_string(port) + "/ HTTP/1.0\r\n\r\n");
      auto said = co_await read_all(*client);
      all.push_back(std::move(said));
    }
  };
  world.run(body(world, origin.port, heard));
  REQUIRE(heard.size() == 2);
  CHECK(status_of(heard[0]) == "HTTP/1.1 200 OK");
  CHECK(status_of(heard[1]) == "HTTP/1.1 502 Bad Gateway");
  CHECK(origin.connections == 1);
}

TEST_CASE("a plain request is in origin form, for its host, without what is of one hop") {
  ProxyWorld world;
  Origin origin(
      world.loop,
      {"HTTP/1.0 200 OK\r\nKeep-Alive: 5\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\r\nbare"});
  world.offer("site.example:8080", origin.port);
  const auto heard = world.ask(
      "GET http://user@Site.example:8080/a/b?c=d HTTP/1.1\r\nHost: other.example\r\nAccept: */*\r\n"
      "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nConnection: X-Secret, host\r\n"
      "X-Secret: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n\r\n");
  REQUIRE(origin.heads.size() == 1);
  CHECK(without_via(origin.heads[0]) ==
        "GET /a/b?c=d HTTP/1.1\r\nHost: site.example:8080\r\nAccept: */*\r\n\r\n");
  CHECK(origin.heads[0] != without_via(origin.heads[0]));
  CHECK(heard == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbare");
}

TEST_CASE("requests of one client go to different hosts, with bodies and without, until it says close") {
  ProxyWorld world;
  Origin one(world.loop, {std::string(proxy_answer),
                          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\nhello\r\n0\r\n\r\n"});
  Origin other(world.loop,
               {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", std::string(proxy_answer)});
  world.offer("site.example:80", one.port);
  world.offer("other.example:80", other.port);
  const auto body = [](ProxyWorld& in, Origin& second) -> Task<> {
    const auto client = co_await in.client();
    co_await write_all(*client, get("http://site.example/"));
    auto heard = co_await read_until(*client, "hello");
    CHECK(heard == proxy_answer);
    co_await write_all(
        *client, "DELETE http://other.example HTTP/1.1\r\n\r\n\r\n" +
                     std::string("POST http://site.example/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"));
    heard = co_await read_until(*client, "hello\r\n0\r\n\r\n");
    CHECK(heard ==
          "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    second.bodies = 1;
    co_await write_all(*client,
                       "PUT http://other.example/ HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n");
    heard = co_await read_all(*client);
    CHECK(heard == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  };
  world.run(body(world, other));
  CHECK(other.body == "3\r\nxyz\r\n0\r\n\r\n");
  CHECK(world.ended.size() == 4);
}

TEST_CASE("a folded field of an answer is one line for the client, in an interim answer too") {
  ProxyWorld world;
  Origin origin(world.loop,
                {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n b\r\nKeep-Alive: 5\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nX: a\r\n\t b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
  world.offer("site.example:80", origin.port);
  const auto heard = world.ask("GET http://site.example/ HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(heard ==
        "HTTP/1.1 103 Early Hints\r\nLink: a b\r\n\r\n"
        "HTTP/1.1 200 OK\r\nX: a b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n");
}

TEST_CASE("an answer without a body, or none of its own length, leaves the client where it should") {
  ProxyWorld world;
  Origin origin(world.loop, {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
                             "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
                             "HTTP/1.1 200 OK\r\n\r\nto the end"});
  world.offer("site.example:80", origin.port);
  const auto heard = world.ask("HEAD http://site.example/ HTTP/1.1\r\n\r\n" + get("http://site.example/") +
                               get("http://site.example/"));
  CHECK(heard ==
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: "
        "500\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end");
}

TEST_CASE("a client that half-closes gets its answer") {
  ProxyWorld world;
  Origin origin(world.loop, {std::string(proxy_answer)});
  world.offer("site.example:80", origin.port);
  const auto body = [](ProxyWorld& in) -> Task<> {
    const auto client = co_await in.client();
    co_await write_all(*client, get("http://site.example/"));
    client->finish();
    const auto heard = co_await read_all(*client);
    CHECK(heard == proxy_answer);
  };
  world.run(body(world));
}

TEST_CASE("a server that says nothing is a bad gateway") {
  ProxyWorld world;
  Origin silent(world.loop, {""});
  world.offer("silent.example:80", silent.port);
  CHECK(status_of(world.ask(get("http://silent.example/"))) == "HTTP/1.1 502 Bad Gateway");
}

TEST_CASE("an answer that is not HTTP is a bad gateway, and one that stops breaks the connection") {
  ProxyWorld world;
  UniqueFd listener = listening_socket(loopback4);
  world.offer("half.example:80", bound_endpoint(listener.get()).port);
  const auto half = [](std::unique_ptr<Connection> connection) -> Task<> {
    (void)co_await read_until(*connection, "\r\n\r\n");
    co_await write_all(*connection, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\npart");
  };
  serve_stream(world.loop, std::move(listener), half);
  Origin garbage(world.loop, {"SSH-2.0-x\r\n\r\n"});
  world.offer("garbage.example:80", garbage.port);
  const auto body = [](ProxyWorld& in) -> Task<> {
    auto client = co_await in.client();
    co_await write_all(*client, get("http://half.example/"));
    const auto part = co_await read_until(*client, "part");
    CHECK(part.ends_with("part"));
    const auto end = co_await next_of(*client);
    CHECK(end == "broken");
    client = co_await in.client();
    co_await write_all(*client, get("http://garbage.example/"));
    const auto status = co_await read_until(*client, "\r\n");
    CHECK(status == "HTTP/1.1 502 Bad Gateway\r\n");
  };
  world.run(body(world));
}

TEST_CASE("a request without a host, or that is none, is a bad request") {
  const std::string long_line(70'000, 'x');
  for (const auto& text :
       {std::string("GET / HTTP/1.0\r\n\r\n"), std::string("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        std::string("GET http:///x HTTP/1.1\r\n\r\n"), get("ftp://site.example/"),
        get("https://site.example/"), std::string("CONNECT :443 HTTP/1.1\r\n\r\n"),
        std::string("CONNECT a b:443 HTTP/1.1\r\n\r\n"),
        std::string("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), std::string("\x16\x03\x01"),
        std::string("POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        std::string("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        std::string("POST http://a/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n"),
        std::string("GET http://a/ HTTP/1.1\r\nX: y\r\n Host: b\r\n\r\n"),
        "GET http://a/ HTTP/1.1\r\nX: " + long_line}) {
    CAPTURE(text.substr(0, 100));
    ProxyWorld world;
    CHECK(status_of(world.ask(text)) == "HTTP/1.1 400 Bad Request");
    CHECK(world.ended.empty());
  }
}

TEST_CASE("a client without a request gives way to one beyond the limit, one with a request does not") {
  ProxyWorld world({}, {.clients = 1});
  UniqueFd listener = listening_socket(loopback4);
  world.offer("slow.example:80", bound_endpoint(listener.get()).port);
  bool asked = false;
  serve_stream(world.loop, std::move(listener), [&](std::unique_ptr<Connection> connection) {
    return [](std::unique_ptr<Connection> from, bool& heard) -> Task<> {
      (void)co_await read_until(*from, "\r\n\r\n");
      heard = true;
      (void)co_await next_of(*from);  // and never answers
    }(std::move(connection), asked);
  });
  const auto body = [](ProxyWorld& in, bool& heard) -> Task<> {
    const auto silent = co_await in.client();
    co_await write_all(*silent, "GET http://slow");
    const auto client = co_await in.client();
    const auto gone = co_await next_of(*silent);
    CHECK((gone == "end" || gone == "broken"));
    co_await write_all(*client, get("http://slow.example/"));
    co_await until([&] { return heard; });
    const auto further = co_await in.client();
    const auto turned_away = co_await next_of(*further);
    CHECK(turned_away == "end");
    client->reset();
  };
  world.run(body(world, asked));
}

TEST_CASE("a head and a dial that take too long end") {
  ProxyWorld world({}, {.head = 30ms, .between = 30ms, .dial = 30ms});
  UniqueFd full = listening_socket(loopback4, 0);
  world.offer("full.example:443", bound_endpoint(full.get()).port);
  const auto waiting = fill_backlog(full.get());
  const auto body = [](ProxyWorld& in) -> Task<> {
    auto client = co_await in.client();
    co_await write_all(*client, "GET http://site");
    auto heard = co_await read_all(*client);
    CHECK(status_of(heard) == "HTTP/1.1 408 Request Timeout");
    client.reset();
    const auto idle = co_await in.client();
    heard = co_await read_all(*idle);
    CHECK(heard.empty());
    client = co_await in.client();
    co_await write_all(*client, "CONNECT full.example:443 HTTP/1.1\r\n\r\n");
    heard = co_await read_all(*client);
    CHECK(status_of(heard) == "HTTP/1.1 502 Bad Gateway");
  };
  world.run(body(world));
}

TEST_CASE("a head that comes a byte now and then takes too long, too") {
  ProxyWorld world({}, {.head = trickle_limit});
  const auto body = [](ProxyWorld& in) -> Task<> {
    const auto client = co_await in.client();
    const auto began = Clock::now();
    std::string heard;
    const auto hear = [&]() -> Task<> { heard = co_await read_all(*client); };
    co_await either(hear(),
                    trickle(*client, "GET http://site/ HTTP/1.1\r\nX: " + std::string(trickled, 'x')));
    CHECK(status_of(heard) == "HTTP/1.1 408 Request Timeout");
    CHECK(Clock::now() - began < trickle_pause * trickled);
  };
  world.run(body(world));
}

TEST_CASE("a proxy that would ask itself says so") {
  ProxyWorld world({make_rule(Action::allow, "127.0.0.1").value()});
  const auto self = "127.0.0.1:" + std::to_string(world.proxy->where().port);
  const auto heard = world.ask("GET / HTTP/1.1\r\nHost: " + self + "\r\nConnection: close\r\n\r\n");
  CHECK(heard.find("asked for what it asks for itself") != heard.npos);
  CHECK(world.ended.size() == 1);
}

TEST_CASE("a client that leaves takes its request with it") {
  ProxyWorld world;
  UniqueFd listener = listening_socket(loopback4);
  world.offer("slow.example:80", bound_endpoint(listener.get()).port);
  bool ended = false;
  serve_stream(world.loop, std::move(listener), [&](std::unique_ptr<Connection> connection) {
    return [](std::unique_ptr<Connection> from, bool& gone) -> Task<> {
      (void)co_await read_until(*from, "\r\n\r\n");
      const auto end = co_await next_of(*from);
      gone = end == "broken";
    }(std::move(connection), ended);
  });
  const auto body = [](ProxyWorld& in, bool& gone) -> Task<> {
    const auto client = co_await in.client();
    co_await write_all(*client, get("http://slow.example/"));
    client->reset();
    co_await until([&] { return gone; });
  };
  world.run(body(world, ended));
}
