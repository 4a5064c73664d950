#include "runtime/handshake.h"

#include <sys/socket.h>

#include <cstring>

namespace nsrun {
namespace {

constexpr std::size_t header_size = 5;  // bytes: type, number

void take_control(msghdr& header, std::vector<UniqueFd>& into, pid_t& sender) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
      sender = credentials.pid;
    }
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      into.emplace_back(fd);
    }
  }
}

}  // namespace

std::string encode(const Message& message) {
  std::string record(header_size, '\0');
  record[0] = static_cast<char>(message.type);
  std::memcpy(record.data() + 1, &message.number, sizeof message.number);
  return record + message.body.substr(0, max_message_body);
}

std::optional<Message> decode(std::string_view record) {
  if (record.size() < header_size || record.size() > header_size + max_message_body) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(record[0]);
  if (type < static_cast<int>(MessageType::map_ids) || type > static_cast<int>(MessageType::listen_unix))
    return std::nullopt;
  Message message{static_cast<MessageType>(type)};
  std::memcpy(&message.number, record.data() + 1, sizeof message.number);
  message.body = record.substr(header_size);
  return message;
}

Result<std::pair<UniqueFd, UniqueFd>> handshake_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return errno_error("cannot make the socket pair between nsrun and its child");
  const int on = 1;
  ::setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<void> send_message(int socket, const Message& message) {
  if (message.fds.size() > max_message_fds)
    return Error{"cannot send " + std::to_string(message.fds.size()) + " descriptors in one message",
                 errno_code(ETOOMANYREFS)};
  std::string record = encode(message);
  iovec part{record.data(), record.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_message_fds)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!message.fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * message.fds.size());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * message.fds.size());
    for (std::size_t i = 0; i < message.fds.size(); ++i) {
      const int fd = message.fds[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return errno_error("cannot send to the other side of the sandbox");
  return {};
}

Result<std::optional<Message>> receive_message(int socket) {
  char record[header_size + max_message_body + 1];  // one more, so that a longer record shows as too long
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_message_fds) + CMSG_SPACE(sizeof(ucred))];
  for (;;) {
    iovec part{record, sizeof record};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ECONNRESET) return std::optional<Message>{};
    if (size < 0) return errno_error("cannot hear from the other side of the sandbox");
    if (size == 0) return std::optional<Message>{};
    std::vector<UniqueFd> fds;
    pid_t sender = 0;
    take_control(header, fds, sender);
    auto message = decode({record, static_cast<std::size_t>(size)});
    // Descriptors that found no room here (EMFILE) are lost, and MSG_CTRUNC says so; the words still count,
    // or the sender would wait for an answer for ever.
    if (!message || (header.msg_flags & MSG_TRUNC)) continue;
    message->fds = std::move(fds);
    message->sender = sender;
    return message;
  }
}

}  // namespace nsrun
