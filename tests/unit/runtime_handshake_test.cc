#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include "tests/support/catch.h"

#include "runtime/handshake.h"

using namespace nsrun;

namespace {

struct HandshakePair {
  HandshakePair() {
    auto made = handshake_pair();
    REQUIRE(made.has_value());
    std::tie(host, child) = std::move(*made);
  }
  UniqueFd host, child;
};

Message received(int socket) {
  auto result = receive_message(socket);
  REQUIRE(result.has_value());
  REQUIRE(result->has_value());
  return std::move(**result);
}

void send_raw(int socket, std::string_view record) {
  REQUIRE(::send(socket, record.data(), record.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(record.size()));
}

bool same_file(int a, int b) {
  struct stat first, second;
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
         first.st_dev == second.st_dev;
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
  return count;
}

}  // namespace

TEST_CASE("a message arrives as it was sent") {
  const HandshakePair pair;
  const std::string maps(
      "0 1000 1\n\0"
      "0 1000 1\n",
      19);
  REQUIRE(send_message(pair.child.get(), {MessageType::map_ids, 1, maps}).has_value());
  REQUIRE(send_message(pair.child.get(), {MessageType::exited, -7}).has_value());
  const auto first = received(pair.host.get()), second = received(pair.host.get());
  CHECK(first.type == MessageType::map_ids);
  CHECK(first.number == 1);
  CHECK(first.body == maps);
  CHECK(first.sender == ::getpid());
  CHECK(second.type == MessageType::exited);
  CHECK(second.number == -7);
  CHECK(second.body.empty());
}

TEST_CASE("descriptors go with a message, and close on exec where they arrive") {
  const HandshakePair pair;
  Message message{MessageType::sockets};
  for (std::size_t i = 0; i < max_message_fds; ++i) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    message.fds.emplace_back(ends[0]);
    ::close(ends[1]);
  }
  REQUIRE(send_message(pair.child.get(), message).has_value());
  const auto arrived = received(pair.host.get());
  REQUIRE(arrived.fds.size() == max_message_fds);
  for (std::size_t i = 0; i < max_message_fds; ++i) {
    CHECK(same_file(arrived.fds[i].get(), message.fds[i].get()));
    CHECK((::fcntl(arrived.fds[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("more descriptors than a message can carry are refused, not cut") {
  const HandshakePair pair;
  Message message{MessageType::sockets};
  for (std::size_t i = 0; i <= max_message_fds; ++i)
    message.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(send_message(pair.child.get(), message).has_value());
}

TEST_CASE("a message counts though its descriptors find no room") {
  const HandshakePair pair;
  Message message{MessageType::sockets, 1};
  message.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(send_message(pair.child.get(), message).has_value());
  rlimit limit;
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{0, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto arrived = receive_message(pair.host.get());
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE((arrived.has_value() && arrived->has_value()));
  CHECK((*arrived)->type == MessageType::sockets);
  CHECK((*arrived)->fds.empty());
}

TEST_CASE("a malformed record is skipped, its descriptors closed, and the next message still heard") {
  const HandshakePair pair;
  const int before = open_descriptors();
  const auto too_short = std::string("\x01\0\0", 3), unknown = std::string("\x7f\0\0\0\0", 5);
  send_raw(pair.child.get(), too_short);
  send_raw(pair.child.get(), unknown);
  send_raw(pair.child.get(), std::string("\x0d\0\0\0\0", 5) + std::string(max_message_body + 1, 'x'));
  Message unwanted{static_cast<MessageType>(200)};
  unwanted.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(send_message(pair.child.get(), unwanted).has_value());
  unwanted.fds.clear();
  REQUIRE(send_message(pair.child.get(), {MessageType::go}).has_value());
  CHECK(received(pair.host.get()).type == MessageType::go);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a body of the greatest length arrives whole, a longer one is cut to it") {
  const HandshakePair pair;
  REQUIRE(send_message(pair.child.get(), {MessageType::warning, 0, std::string(max_message_body, 'x')})
              .has_value());
  CHECK(received(pair.host.get()).body.size() == max_message_body);
  REQUIRE(send_message(pair.child.get(), {MessageType::warning, 0, std::string(max_message_body + 1, 'x')})
              .has_value());
  CHECK(received(pair.host.get()).body.size() == max_message_body);
}

TEST_CASE("nothing comes from a peer that is gone") {
  HandshakePair pair;
  REQUIRE(send_message(pair.child.get(), {MessageType::go}).has_value());
  pair.child.reset();
  CHECK(received(pair.host.get()).type == MessageType::go);  // what it said last is still heard
  const auto end = receive_message(pair.host.get());
  REQUIRE(end.has_value());
  CHECK_FALSE(end->has_value());
  CHECK_FALSE(send_message(pair.host.get(), {MessageType::go}).has_value());
}

TEST_CASE("a non-blocking socket with nothing to read says so") {
  const HandshakePair pair;
  REQUIRE(::fcntl(pair.host.get(), F_SETFL, O_NONBLOCK) == 0);
  const auto result = receive_message(pair.host.get());
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == boost::system::errc::resource_unavailable_try_again);
}

TEST_CASE("a record has one reading, and every type can be said") {
  for (auto type = static_cast<int>(MessageType::map_ids); type <= static_cast<int>(MessageType::warning);
       ++type) {
    const Message message{static_cast<MessageType>(type), -2147483647, "words"};
    const auto read = decode(encode(message));
    REQUIRE(read);
    CHECK(read->type == message.type);
    CHECK(read->number == message.number);
    CHECK(read->body == message.body);
  }
  CHECK_FALSE(decode(std::string(5, '\0')));
}
