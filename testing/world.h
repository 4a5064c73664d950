#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/flows.h"
#include "testing/handler.h"
#include "testing/http.h"
#include "testing/program.h"

namespace nsrun::testing {

class UndeclaredDialer;
class ProgramRun;
struct WorldState;

// A world for programs under test: names and addresses at which functions of the test answer, and nothing
// else.
//
//   nsrun::testing::World world;
//   world.on("api.example.com:443", [](const HttpRequest& request) { return HttpResponse{200, "hello"}; });
//   auto outcome = world.run({"curl", "-s", "https://api.example.com/"});
//   REQUIRE(outcome.out == "hello");
//   REQUIRE(world.unexpected().empty());
//
// Every name resolves, and nothing leaves the machine. What is not declared refuses, and is written down. TLS
// is spoken with certificates by an authority of this world's, which programs are told to trust through their
// environment (SSL_CERT_FILE and the like).
//
// Everything happens on the test's own thread, inside run() and Program::wait(): a handler may use the test's
// variables without locks, and its framework's assertions. Programs start as clones of this process, so no
// other thread of it may run meanwhile; and not from within a handler.
//
// A match is [tcp/|udp/|icmp/|tls/|http/]HOST[:PORT[-PORT]]: HOST a name, *.NAME, an address, a network or *.
// The first that fits counts; the same match declared anew replaces what was there. Every function throws
// ErrorException for what it cannot do.
class World {
 public:
  World();
  ~World();  // programs that still run are killed
  World(const World&) = delete;

  // Whoever connects there is answered so. Port 443 means TLS, unless the match begins with tcp/ or http/;
  // other ports mean TLS where it begins with tls/. Without a protocol a match is about TCP.
  World& on(std::string_view match, Handler handler);
  World& on(std::string_view match, HttpHandler handler);
  World& on(std::string_view match, HttpResponse always);
  // Refused as by a port on which nobody listens; not unexpected.
  World& refuse(std::string_view match);
  // No answer at all.
  World& silence(std::string_view match);

  // Who may go where at all, in place of all rules before: as the command's options have it, "allow
  // api.example.com:443", "deny udp/*", "redirect a.example=b.example", "default reject". For flows that
  // begin from now on.
  World& policy(const std::vector<std::string>& rules);

  // What goes wrong on the way there, as --fault has it: "latency=100ms,jitter=20ms", "refuse=10%",
  // "reset_after=4KiB". From now on, and for the same match in place of what was said before, also for flows
  // that live. Of several matches that fit a flow the first that was ever said counts.
  World& fault(std::string_view match, std::string_view what);
  // Nothing goes wrong there any more.
  World& mend(std::string_view match);

  // Starts a program and waits for its end.
  Outcome run(std::vector<std::string> argv, ProgramOptions options = {});
  Program start(std::vector<std::string> argv, ProgramOptions options = {});

  // Runs a program against the real network, and writes what it exchanged there to a file. Declarations and
  // policy hold as always: what they answer or refuse is not recorded. HTTP/1 is recorded request by request,
  // within TLS too; servers have to prove who they are as they have to outside. WebSockets and other
  // upgrades, and all that is not HTTP/1, are recorded as the bytes that went each way.
  Outcome record(const std::string& file, std::vector<std::string> argv, ProgramOptions options = {});
  // From now on what is not declared is answered as in that file, and nothing else is. A request is known by
  // where it goes, its method, target, Host and body, and each answer is given once; what the file has no
  // answer for is reset, and among troubles().
  World& replay(const std::string& file);

  // Of all programs so far, but for questions to the name server.
  const Flows& flows() const;
  // Those to where nothing is declared.
  Flows unexpected() const;
  // What else went wrong: TLS that a program broke off, requests that no recording has.
  const std::vector<std::string>& troubles() const;

  // The world's authority's certificate (PEM), for programs that no environment variable tells.
  std::string authority() const;

 private:
  World& changed();  // programs that run hear of it

  std::unique_ptr<WorldState> state_;
  std::unique_ptr<UndeclaredDialer> replay_;                 // null: none
  std::vector<std::unique_ptr<ProgramRun>> runs_;  // kept: their agents take a while to leave
};

}  // namespace nsrun::testing
