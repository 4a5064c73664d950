#pragma once

#include <deque>
#include <map>
#include <memory>

#include "host/dialers/direct_dialer.h"
#include "netstack/stack.h"
#include "tests/support/stack_guest.h"

// A Stack between a guest of the test's own and far ends that are kernel sockets of the loopback interface:
//
//   GuestTcp ─► MemoryDevice ─► Stack ─► Request ─► carry() ─► [splice | relay] ─► TCP or UDP socket ─► Far
//
// Everything runs in until(), on the test's thread; nothing waits for time to pass that need not.

namespace nsrun::test {

enum class Path { fast, generic };
struct Setting {
  Path path = Path::fast;
  bool v6 = false;
  bool offloads = true;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting);
// Both paths, both families, with and without offloads.
std::vector<Setting> every_setting();

// The far end's other side, in the test's hands.
class Far {
 public:
  explicit Far(UniqueFd socket) : socket_(std::move(socket)) {}
  std::size_t send(Bytes bytes);  // what the kernel took
  void finish();                  // FIN
  void reset();                   // RST
  void close() { socket_.reset(); }
  // Everything there is by now. A datagram socket's boundaries are in `datagrams`.
  void read();
  void read_datagrams();

  Octets received;
  std::vector<Octets> datagrams;
  bool ended = false, broken = false;  // FIN, RST
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
};

class StackWorld final : public Events {
 public:
  explicit StackWorld(Setting setting, StackOptions options = {});
  ~StackWorld() override;

  // Lets guest, stack and far ends work until it is so. False: it was not so within the limit.
  bool until(const std::function<bool()>& fact, Clock::duration limit = 10s);
  void rest();  // until nothing is left to do at once
  void run_for(Clock::duration time);

  GuestTcp& tcp(std::uint16_t port = 40'000, std::uint16_t target_port = 80);
  GuestTcp& answering(const Seen& syn);  // for a SYN of the stack
  Endpoint guest(std::uint16_t port) const;
  Endpoint target(std::uint16_t port) const;

  // The next request, once there is one.
  std::unique_ptr<Request> request();
  // Accepts it, and carries the flow to a fresh socket pair. Null when the guest has left.
  std::unique_ptr<Far> carry(std::unique_ptr<Request> request);
  std::unique_ptr<Far> carry(std::unique_ptr<Connection> near, const FlowKey& key, bool far_asked = false);
  // Dials its target as the host does, and carries the flow there.
  void dial(std::unique_ptr<Request> request);
  void dial(std::unique_ptr<Request> request, Dialer& dialer);  // which outlives the world's tasks
  // A guest connection that is established, and its far end.
  std::pair<GuestTcp&, std::unique_ptr<Far>> connected(std::uint16_t port = 40'000);
  void forget_guest(const GuestTcp& guest);

  void flow_ended(const FlowRecord& record) override { ends.push_back(record.end); }

  const Setting setting;
  asio::io_context context{1};
  MemoryDevice device;
  std::deque<std::unique_ptr<Request>> requests;
  std::unique_ptr<Stack> stack;
  Scope scope;
  std::deque<Seen> others;  // what no GuestTcp heard
  std::vector<FlowEnd> ends;
  LiveFlows flows;
  std::size_t bad_sums = 0;
  int far_buffer = 0;  // bytes of the far sockets' buffers; 0: the kernel's choice

 private:
  void hear();

  DirectDialer direct_;
  std::map<std::pair<Endpoint, Endpoint>, std::unique_ptr<GuestTcp>> guests_;
};

// Two ends of a connection over the loopback interface, both non-blocking.
std::pair<UniqueFd, UniqueFd> socket_pair(Transport transport, int buffer = 0);

}  // namespace nsrun::test
