#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <string>
#include <thread>
#include <vector>
#include "tests/support/catch.h"

#include "host/log/json_log.h"

// The log where somebody else has its file, its pipe or its socket, too, and uses them against it.

using namespace nsrun;

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    shared.reset(ends[1]);
  }
  UniqueFd reader, shared;
};

// As a guest would with a descriptor that it shares with us.
void fill_pipe(int fd) {
  REQUIRE(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
  const std::string junk(4096, '#');
  while (::write(fd, junk.data(), junk.size()) > 0) continue;
  while (::write(fd, "#", 1) > 0) continue;
}

// Until the text has come; what is before it is left out.
std::string read_until(int fd, const std::string& end) {
  std::string text;
  char buffer[4096];
  while (text.find(end) == text.npos) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text.substr(text.find_last_of('#') + 1);
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct File {
  File() {
    guest.reset(::mkstemp(path.data()));
    REQUIRE(guest);
  }
  ~File() { ::unlink(path.c_str()); }
  std::string path = "/tmp/nsrun-test-XXXXXX";
  UniqueFd guest;
};

std::vector<boost::json::object> lines_of(const std::string& text) {
  std::vector<boost::json::object> all;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    all.push_back(boost::json::parse(text.substr(begin, end - begin)).as_object());
    begin = end + 1;
  }
  return all;
}

struct Flows {
  void refused(Events& events, std::uint16_t port) {
    const Endpoint source{IpAddress::v4(10, 0, 2, 100), ++sources}, target{IpAddress::v4(192, 0, 2, 1), port};
    FlowRecord record(++id, FlowKey{Protocol::tcp, source, target}, events, live);
    record.ended(FlowEnd::refused);
  }
  void closed(Events& events) {
    FlowRecord record(++id, FlowKey{}, events, live);
    record.allowed = true;
    record.ended(FlowEnd::closed);
  }
  LiveFlows live;
  std::uint64_t id = 0;
  std::uint16_t sources = 0;
};

}  // namespace

TEST_CASE("a guest that makes our pipe non-blocking and fills it delays a line, and does not lose it") {
  Pipe pipe;
  auto output = LineOutput::to(pipe.shared.get());
  REQUIRE(output.has_value());
  fill_pipe(pipe.shared.get());
  std::string seen;
  std::thread reader([&] { seen = read_until(pipe.reader.get(), "line\n"); });
  CHECK(output->write("line\n"));
  reader.join();
  CHECK(seen == "line\n");
  CHECK(output->lost() == 0);
}

TEST_CASE("lines for which there is no room for long are counted, and the loop is held up once") {
  Pipe pipe;
  auto output = LineOutput::to(pipe.shared.get());
  REQUIRE(output.has_value());
  fill_pipe(pipe.shared.get());
  CHECK_FALSE(output->write("first\n"));
  const auto begun = Clock::now();
  for (int i = 0; i < 100; ++i) CHECK_FALSE(output->write("more\n"));
  CHECK(Clock::now() - begun < 5s);  // 50 s if each of them waited
  CHECK(output->lost() == 101);
  CHECK(output->trouble().has_value());
  pipe.shared.reset();
  std::thread reader([&] { read_until(pipe.reader.get(), "last\n"); });
  while (!output->write("last\n")) std::this_thread::yield();
  reader.join();
}

TEST_CASE("a line of a socket that another has made non-blocking waits for room, too") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd reader_end(ends[0]), shared(ends[1]);
  auto output = LineOutput::to(shared.get());
  REQUIRE(output.has_value());
  fill_pipe(shared.get());
  std::string seen;
  std::thread reader([&] { seen = read_until(reader_end.get(), "line\n"); });
  CHECK(output->write("line\n"));
  reader.join();
  CHECK(seen == "line\n");
}

TEST_CASE("the log tells in its next line how many before it were lost") {
  Pipe pipe;
  Flows flows;
  std::uint64_t lost = 0;
  std::string seen;
  std::thread reader;
  {
    auto output = LineOutput::to(pipe.shared.get());
    REQUIRE(output.has_value());
    JsonLog log(std::move(*output));
    fill_pipe(pipe.shared.get());
    for (int i = 0; i < 3; ++i) flows.closed(log);
    CHECK(log.lost() == 3);
    reader = std::thread([&] { seen = read_until(pipe.reader.get(), "until the end"); });
    do {
      lost = log.lost();
      flows.closed(log);
    } while (log.lost() > lost);
    pipe.shared.reset();
  }
  reader.join();
  const auto lines = lines_of(seen);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].at("lost").as_int64() == static_cast<std::int64_t>(lost));
}

TEST_CASE("lines in a file that the command writes to as well stand behind one another") {
  File file;  // as 2>FILE opens it: not for appending
  auto output = LineOutput::to(file.guest.get());
  REQUIRE(output.has_value());
  for (const char* line : {"one\n", "two\n"}) {
    CHECK(output->write(std::string("ours ") + line));
    const std::string theirs = std::string("the command's ") + line;
    CHECK(::write(file.guest.get(), theirs.data(), theirs.size()) == static_cast<ssize_t>(theirs.size()));
  }
  CHECK(content(file.path) == "ours one\nthe command's one\nours two\nthe command's two\n");
}

TEST_CASE("a log's file that another cuts short goes on at its new end, and says so") {
  File file;
  auto output = LineOutput::to(file.guest.get());
  REQUIRE(output.has_value());
  JsonLog log(std::move(*output));
  Flows flows;
  flows.closed(log);
  REQUIRE(::ftruncate(file.guest.get(), 0) == 0);
  flows.closed(log);
  flows.closed(log);
  const auto lines = lines_of(content(file.path));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].at("truncated").as_bool());
  CHECK_FALSE(lines[1].contains("truncated"));
  CHECK(log.was_truncated());
}

TEST_CASE("refusals beyond a hundred in ten seconds are summed up by kind, others are not") {
  File file;
  Flows flows;
  {
    auto output = LineOutput::to(file.guest.get());
    REQUIRE(output.has_value());
    JsonLog log(std::move(*output));
    for (int i = 0; i < 50'000; ++i) flows.refused(log, static_cast<std::uint16_t>(1 + i % 2));
    for (int i = 0; i < 200; ++i) flows.closed(log);
  }
  const auto lines = lines_of(content(file.path));
  REQUIRE(lines.size() == 100 + 200 + 2);
  std::int64_t all = 0;
  for (const auto& line : lines)
    if (line.at("end") == "refused")
      all += 1 + (line.contains("repeats") ? line.at("repeats").as_int64() : 0);
  CHECK(all == 50'000);
}

TEST_CASE("refusals of more kinds than are kept are counted together") {
  File file;
  Flows flows;
  {
    auto output = LineOutput::to(file.guest.get());
    REQUIRE(output.has_value());
    JsonLog log(std::move(*output));
    for (int i = 1; i <= 60'000; ++i) flows.refused(log, static_cast<std::uint16_t>(i));
  }
  const auto lines = lines_of(content(file.path));
  REQUIRE(lines.size() == 201);
  CHECK(lines.back().at("skipped").as_int64() == 60'000 - 201);
}
