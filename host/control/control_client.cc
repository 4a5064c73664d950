#include "host/control/control_client.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>

#include "host/control/peer.h"
#include "host/listen/unix_socket.h"

namespace nsrun {

Result<ControlClient> ControlClient::connect(const std::string& path) {
  auto socket = connect_unix(path, "the control socket");
  if (!socket) {
    Error error = socket.error();
    const int code = error.code.value();
    if (code == ECONNREFUSED || code == ENOENT)
      error.advice = "is an nsrun running with --control " + path + "?";
    return error;
  }
  if (auto known = check_peer(socket->get()); !known)
    return Error{"what listens at " + path +
                 " is not an nsrun of this account and user namespace, or runs in a sandbox"};
  ::fcntl(socket->get(), F_SETFL, 0);
  return ControlClient(std::move(*socket));
}

Result<boost::json::value> ControlClient::ask(const boost::json::object& request) {
  const std::string line = boost::json::serialize(request) + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t sent = ::send(socket_.get(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) break;  // there may be an answer that says why
    at += static_cast<std::size_t>(sent);
  }
  const auto answer = receive_line();
  if (!answer) return answer.error();
  boost::system::error_code wrong;
  const auto parsed = boost::json::parse(*answer, wrong);
  const auto* object = parsed.if_object();
  const auto* ok = object ? object->if_contains("ok") : nullptr;
  if (wrong || !ok || !ok->is_bool()) return Error{"the answer of the control socket is not understood"};
  if (ok->as_bool()) {
    const auto* result = object->if_contains("result");
    return result ? *result : boost::json::value{};
  }
  const auto* why = object->if_contains("error");
  return Error{why && why->is_string() ? std::string(why->as_string()) : "refused"};
}

Result<std::string> ControlClient::receive_line() {
  std::array<char, 65'536> block;
  for (;;) {
    if (const auto end = received_.find('\n'); end != received_.npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return Result<std::string>(boost::system::in_place_value, std::move(line));
    }
    const ssize_t got = ::recv(socket_.get(), block.data(), block.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("the control socket does not answer");
    if (got == 0) return Error{"the control socket was closed: has the sandbox ended?"};
    received_.append(block.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace nsrun
