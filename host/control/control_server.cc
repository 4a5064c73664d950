#include "host/control/control_server.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>

#include "host/control/peer.h"
#include "host/listen/accept_error.h"
#include "runtime/descriptor_reserve.h"

namespace nsrun {
namespace {

boost::json::object refusal(const Error& error) { return {{"ok", false}, {"error", error.message()}}; }

// For one who is turned away: what fits is sent, without waiting.
void send_at_once(int client, const Error& error) {
  const std::string line = boost::json::serialize(refusal(error)) + "\n";
  (void)!::send(client, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Flows may have taken all other descriptors.
UniqueFd accept_client(int listening) {
  const UseDescriptorReserve reserve;
  return UniqueFd(::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

struct CountGuard {
  explicit CountGuard(std::size_t& count) : count_(count) { ++count_; }
  ~CountGuard() { --count_; }
  std::size_t& count_;
};

Task<> send_all(Descriptor& client, std::string& line, bool& sent) {
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t size =
        ::send(client.native_handle(), line.data() + at, line.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) {
      at += static_cast<std::size_t>(size);
    } else if (errno == EAGAIN) {
      if (!co_await writable(client)) co_return;
    } else if (errno != EINTR) {
      co_return;
    }
  }
  sent = true;
}

}  // namespace

Result<UnixSocket> bind_control(const std::string& path) {
  return UnixSocket::bind(path, {.what = "the control socket"});
}

Task<> ControlServer::accept() {
  ask_for_senders(socket_.fd());
  Descriptor listening(tasks_.executor(), ::fcntl(socket_.fd(), F_DUPFD_CLOEXEC, 3));
  for (;;) {
    UniqueFd client = accept_client(socket_.fd());
    if (client) {
      ask_for_senders(client.get());
      if (clients_ < max_clients)
        tasks_.spawn(serve(std::move(client)));
      else
        send_at_once(client.get(), {"too many are connected to the control socket", {}, "end one of them"});
      continue;
    }
    switch (accept_error(errno)) {
      case AcceptError::none_waiting:
        if (!co_await readable(listening)) co_return;
        break;
      case AcceptError::without_resources:
        co_await sleep_for(pause_without_descriptors);
        break;
      case AcceptError::of_one_client:
        co_await asio::post(tasks_.executor(), use_task);
        break;
      case AcceptError::not_listening:
        co_return;
    }
  }
}

// Who connected is looked at once, and whose words they are each time they come: the first tells a stranger
// at once that it is one, the second is what counts.
Task<> ControlServer::serve(UniqueFd socket) {
  const CountGuard counted(clients_);
  if (auto known = check_peer(socket.get()); !known) {
    send_at_once(socket.get(), known.error());
    co_return;
  }
  Descriptor client(tasks_.executor(), socket.release());
  std::string received;
  std::array<char, 4096> block;
  for (;;) {
    const auto got = receive_from_sender(client.native_handle(), block.data(), block.size());
    if (got.size == 0 || (got.size < 0 && errno != EAGAIN && errno != EINTR)) co_return;
    if (got.size < 0) {
      if (!co_await readable(client)) co_return;
      continue;
    }
    if (auto known = check_sender(got); !known) {
      send_at_once(client.native_handle(), known.error());
      co_return;
    }
    received.append(block.data(), static_cast<std::size_t>(got.size));
    const bool goes_on = co_await answer_lines(client, received);
    if (!goes_on) co_return;
  }
}

Task<bool> ControlServer::answer_lines(Descriptor& client, std::string& received) {
  for (std::size_t end; (end = received.find('\n')) != received.npos;) {
    std::string line = received.substr(0, end);
    received.erase(0, end + 1);
    if (line.empty()) continue;
    auto answer = co_await commands_.answer(std::move(line));
    const bool taken = co_await send(client, std::move(answer));
    if (!taken) co_return false;
  }
  if (received.size() <= max_request) co_return true;
  send_at_once(client.native_handle(), {"the request is longer than 64 KiB"});
  co_return false;
}

Task<bool> ControlServer::send(Descriptor& client, boost::json::object answer) {
  std::string line = boost::json::serialize(answer) + "\n";
  bool sent = false;
  co_await either(send_all(client, line, sent), sleep_for(patience));
  co_return sent;
}

}  // namespace nsrun
