#pragma once

#include <string>
#include <vector>

#include "host/endpoints/endpoint_url.h"
#include "host/services/service.h"
#include "tests/support/dialers_loop.h"

namespace nsrun::test {

// A service on a loop, and what was written down of its flows.
class ServiceWorld : public Events {
 public:
  // Runs the test's task to its end, then ends the service and what is beside it.
  void run(Task<> body);

  void flow_ended(const FlowRecord& record) override;
  void warning(const std::string& what) override { warnings.push_back(what); }

  std::vector<std::string> ended;  // "tcp/127.0.0.1:80 closed", as the flows ended
  std::vector<std::string> warnings;
  Loop loop;
  Service service{loop.context, *this, ""};
};

EndpointUrl url(const std::string& text);
// A connection to a port of 127.0.0.1.
Task<std::unique_ptr<Connection>> connect_to(Executor executor, std::uint16_t port);
// Reads until the text ends so, or the connection does.
Task<std::string> read_until(Connection& from, std::string end);
// How the connection goes on: "end", "broken", or what can be read.
Task<std::string> next_of(Connection& from);
// Until the condition holds; what it waits for happens on the loop, or in the kernel.
Task<> until(std::function<bool()> condition);

}  // namespace nsrun::test
