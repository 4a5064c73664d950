#pragma once

#include <functional>
#include <string>

#include "host/flow/dialer.h"

namespace nsrun {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

// One request of HTTP/1.1 without a body, on a connection of its own. `dialer` reaches the server, whatever
// the target; what it dials is a kernel socket. `where` is how errors call it.
struct HttpCall {
  Dialer& dialer;
  const Target& target;
  std::string where;
  std::string host;  // of the Host header
  std::string verb, path;
  std::string doing;  // how errors begin: "cannot list the containers"
};
// How the error begins when nobody is there.
std::string cannot_reach(const std::string& where);

// The answer, 8 MiB at most, within the limit.
Task<Result<HttpAnswer>> http_call(HttpCall call, Clock::duration limit);

// The status alone, of an answer with a header of 64 KiB at most: whatever follows is not waited for.
Task<Result<unsigned>> http_status(HttpCall call, Clock::duration limit);

// The lines of an answer that does not end. Always ends with an error: how it ended. `begun` is called once
// the server has agreed.
Task<Error> http_lines(HttpCall call, std::function<void()> begun,
                       std::function<void(std::string_view)> take);

}  // namespace nsrun
