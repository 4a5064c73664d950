#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/flow/dialer.h"
#include "host/names/name_server.h"

// A name server between guests and resolvers that exist only in the test:
//
//   Guest ──► NameServer ──► World (a Dialer) ──► a function for each server, 192.0.2.1 and 192.0.2.2

namespace nsrun::test {

using Replies = std::vector<DnsBytes>;
// What a server sends back for one query: nothing, one message, or several.
using Server = std::function<Replies(const DnsBytes& query)>;

extern const Endpoint first_server, second_server;
extern const IpAddress an_address;  // what `answers` answers

Replies silent(const DnsBytes& query);
Replies answers(const DnsBytes& query);
Server says(DnsCode code);

// With its length in front, as it goes over TCP.
DnsBytes framed(const DnsBytes& message);

// What one side has sent and the other has not read: datagrams, or pieces of a stream.
class Line {
 public:
  explicit Line(Executor executor) : arrived_(executor) {}
  void send(DnsBytes bytes);
  void end();
  Task<Chunk> read(MutableBytes into, Transport transport);

 private:
  std::deque<DnsBytes> pieces_;
  bool ended_ = false;
  Signal arrived_;
};

// Where no server is, the connection is refused.
class World : public Dialer {
 public:
  explicit World(Executor executor) : executor_(executor) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

  std::map<std::pair<Protocol, Endpoint>, Server> servers;
  std::vector<std::string> dialled;

 private:
  Executor executor_;
};

// The guest's side of one conversation with the name server.
struct Guest {
  Guest(Executor executor, Transport how) : transport(how), to_server(executor), answered(executor) {}
  void ask(const DnsBytes& query) { to_server.send(transport == Transport::stream ? framed(query) : query); }
  void hang_up() { to_server.end(); }
  Task<DnsBytes> next_answer();
  // The name server's end. The guest outlives it.
  std::unique_ptr<Connection> connect();

  const Transport transport;
  Line to_server;
  DnsBytes stream;                 // answers not yet taken
  std::deque<DnsBytes> datagrams;  // likewise
  Signal answered;
  bool finished = false, was_reset = false;
};

Task<DnsBytes> answer_to(Guest& guest, DnsBytes query);

// Permits the names that a test permits.
struct NamesPermitted final : NamePolicy {
  bool permits_name(std::string_view name) const override { return !permits || permits(name); }
  bool tells_outside(std::string_view) const override { return !asks; }
  bool gives_synthetic() const override { return synthetic; }
  std::function<bool(std::string_view)> permits;  // empty: all
  bool synthetic = false, asks = false;
};

struct Sandbox {
  Executor executor() { return context.get_executor(); }
  void server(Protocol protocol, const Endpoint& where, Server what) {
    world.servers[{protocol, where}] = what;
  }
  // A guest's connection, served until it hangs up.
  Guest& guest(Transport transport = Transport::datagram);
  // Runs the body, then has the guests hang up, and waits until nobody is served.
  void run(Task<> (*body)(Sandbox&));

  asio::io_context context{1};
  World world{executor()};
  Resolvers resolvers{ResolverConfig{{first_server, second_server}, 50ms, 1}};
  SyntheticNames synthetic;
  NamesPermitted names;
  RecentNames recent;
  NameServerOptions options{resolvers, world,     IpAddress::v4(10, 0, 2, 2), IpAddress::parse("fd00::2"),
                            &names,    &synthetic};
  std::optional<NameServer> name_server;  // made for the first guest, from the options as they are then
  std::list<Guest> guests;
  Scope serving{executor()};
};

}  // namespace nsrun::test
