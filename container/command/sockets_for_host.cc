#include "container/command/sockets_for_host.h"

#include <sys/socket.h>

namespace nsrun {
namespace {

constexpr std::int32_t max_sockets = max_message_fds;

bool is_wanted(int family, int type) {
  return (family == AF_INET || family == AF_INET6) && (type == SOCK_STREAM || type == SOCK_DGRAM);
}

}  // namespace

void make_sockets_for(int host, const Message& request) {
  Message answer{MessageType::sockets, request.number, request.body};
  const bool valid = request.body.size() == 2 && request.number >= 1 && request.number <= max_sockets &&
                     is_wanted(request.body[0], request.body[1]);
  for (int i = 0; valid && i < request.number; ++i) {
    UniqueFd made(::socket(request.body[0], request.body[1] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!made) break;  // fewer than asked for tells the host
    answer.fds.push_back(std::move(made));
  }
  answer.number = static_cast<std::int32_t>(answer.fds.size());
  if (send_message(host, answer)) return;
  // Too many descriptors of this user are on their way already (unix(7), ETOOMANYREFS). The host counts
  // answers.
  answer.fds.clear();
  answer.number = 0;
  (void)send_message(host, answer);
}

}  // namespace nsrun
