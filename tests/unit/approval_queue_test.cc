#include <signal.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <set>
#include <thread>
#include "tests/support/catch.h"

#include "host/policy/approval_queue.h"
#include "host/policy/asking_program.h"

using namespace nsrun;

namespace {

const Question about_a{Protocol::tcp, "a.example", {}, 443};
const Question about_b{Protocol::tcp, "b.example", {}, 443};
constexpr Answer allowed{Action::allow, false};
constexpr Answer always{Action::allow, true};

// Asks, and keeps what came of it.
struct AskedQuestion {
  std::optional<Answer> answer;
  bool is_allowed() const { return answer && answer->action == Action::allow; }
};

Task<> ask_queue(ApprovalQueue& approvals, Question question, AskedQuestion& asked) {
  asked.answer = co_await approvals.ask(std::move(question));
}

// One loop, and somebody who is asked there and answers when the test does.
struct ApprovalWorld {
  explicit ApprovalWorld(Clock::duration limit = 30s)
      : approvals(
            [this](const Question& question, Reply reply) {
              questions.push_back(question);
              replies.push_back(std::move(reply));
            },
            limit, [this](const std::string& what) { warnings.push_back(what); }) {}

  void begin(Question question, AskedQuestion& asked) {
    asio::co_spawn(context, ask_queue(approvals, std::move(question), asked), [](std::exception_ptr) {});
    turn();
  }
  void turn() {
    context.restart();
    context.poll();
  }

  asio::io_context context;
  std::vector<Question> questions;
  std::vector<Reply> replies;
  std::vector<std::string> warnings;
  ApprovalQueue approvals;
};

// The loop at work until an answer has come.
void run_until(asio::io_context& context, const AskedQuestion& asked) {
  context.restart();
  while (!asked.answer && context.run_one()) continue;
}

struct Program {
  explicit Program(std::string command, Clock::duration limit = 10s)
      : asked(context.get_executor(), std::move(command),
              [this](const std::string& what) { warnings.push_back(what); }),
        approvals([this](const Question& question, Reply reply) { asked.ask(question, std::move(reply)); },
                  limit, [this](const std::string& what) { warnings.push_back(what); }) {
    ::signal(SIGPIPE, SIG_IGN);  // as whoever runs a host does (host/sandbox/host.h)
  }
  ~Program() {
    bool over = false;
    asio::co_spawn(context, asked.end(), [&](std::exception_ptr) { over = true; });
    context.restart();
    while (!over && context.run_one()) continue;
    ::signal(SIGPIPE, SIG_DFL);
  }
  AskedQuestion say(Question question) {
    AskedQuestion answer;
    asio::co_spawn(context, ask_queue(approvals, std::move(question), answer), [](std::exception_ptr) {});
    run_until(context, answer);
    return answer;
  }

  asio::io_context context;
  std::vector<std::string> warnings;
  AskingProgram asked;
  ApprovalQueue approvals;
};

}  // namespace

TEST_CASE("a question that is open is asked once, and answers all who wait") {
  ApprovalWorld world;
  AskedQuestion first, second, other;
  world.begin(about_a, first);
  world.begin(about_a, second);
  world.begin(about_b, other);
  CHECK(world.questions == std::vector{about_a, about_b});
  world.replies[0](allowed);
  world.turn();
  CHECK(first.is_allowed());
  CHECK(second.is_allowed());
  CHECK_FALSE(other.answer);
  AskedQuestion third;
  world.begin(about_a, third);  // once is once
  CHECK(world.questions.size() == 3);
}

TEST_CASE("an answer for always is remembered, even when it comes too late") {
  ApprovalWorld world(1ms);
  AskedQuestion late, again;
  world.begin(about_a, late);
  run_until(world.context, late);
  CHECK_FALSE(late.is_allowed());
  CHECK(world.warnings.size() == 1);
  world.replies[0](always);
  world.begin(about_a, again);
  CHECK(again.is_allowed());
  CHECK(world.questions.size() == 1);
}

TEST_CASE("no answer in time is deny, and said once") {
  ApprovalWorld world(1ms);
  for (const auto& question : {about_a, about_b}) {
    AskedQuestion asked;
    world.begin(question, asked);
    run_until(world.context, asked);
    REQUIRE(asked.answer);
    CHECK(asked.answer->action == Action::deny);
  }
  CHECK(world.warnings.size() == 1);
}

TEST_CASE("who answers at once, twice, or after everybody has gone does no harm") {
  Reply kept;
  {
    asio::io_context context;
    ApprovalQueue approvals(
        [&](const Question&, Reply reply) {
          reply({Action::reject, false});
          reply(allowed);
          kept = reply;
        },
        10s, [](const std::string&) {});
    AskedQuestion asked;
    asio::co_spawn(context, ask_queue(approvals, about_a, asked), [](std::exception_ptr) {});
    context.run();
    REQUIRE(asked.answer);
    CHECK(asked.answer->action == Action::reject);
  }
  kept(always);
}

TEST_CASE("a flow that ends while its question is open leaves the answer to others") {
  ApprovalWorld world;
  AskedQuestion gone, stays;
  asio::cancellation_signal cancel;
  asio::co_spawn(world.context, ask_queue(world.approvals, about_a, gone),
                 asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr) {}));
  world.turn();
  world.begin(about_a, stays);
  cancel.emit(asio::cancellation_type::terminal);
  world.turn();
  world.replies[0](allowed);
  world.turn();
  CHECK(stays.is_allowed());
  CHECK_FALSE(gone.is_allowed());
}

TEST_CASE("loops of several threads wait for one answer") {
  Reply reply;
  std::mutex lock;
  int questions = 0;
  ApprovalQueue approvals(
      [&](const Question&, Reply given) {
        const std::lock_guard hold(lock);
        ++questions;
        reply = std::move(given);
      },
      10s, [](const std::string&) {});
  std::vector<AskedQuestion> asked(4);
  std::vector<std::thread> threads;
  std::atomic<int> waiting = 0;
  for (auto& one : asked)
    threads.emplace_back([&] {
      asio::io_context context;
      asio::co_spawn(context, ask_queue(approvals, about_a, one), [](std::exception_ptr) {});
      context.poll();
      ++waiting;
      context.restart();
      context.run();
    });
  while (waiting < 4) std::this_thread::yield();
  reply(allowed);
  for (auto& thread : threads) thread.join();
  for (const auto& one : asked) CHECK(one.is_allowed());
  CHECK(questions == 1);
}

TEST_CASE("a program is asked in lines of JSON, and answers in any order") {
  Program program(R"sh(read a; read b
echo '{"id":2,"answer":"allow","remember":"once"}'; echo '{"id":1,"answer":"reject"}'; cat >/dev/null)sh");
  AskedQuestion first, second;
  asio::co_spawn(program.context, ask_queue(program.approvals, about_a, first), [](std::exception_ptr) {});
  asio::co_spawn(program.context, ask_queue(program.approvals, about_b, second), [](std::exception_ptr) {});
  run_until(program.context, first);
  run_until(program.context, second);
  CHECK(first.answer->action == Action::reject);
  CHECK(second.is_allowed());
  CHECK(program.warnings.empty());
}

TEST_CASE("what a program is asked names what was meant") {
  Program program(R"sh(while read line; do case $line in
  *'"id":1,"protocol":"tcp","name":"a.example","address":null,"port":443}'*) echo '{"id":1,"answer":"allow"}';;
  *'"id":2,"protocol":"icmp","name":null,"address":"192.0.2.1","port":null}'*) echo '{"id":2,"answer":"allow"}';;
  *) echo '{"id":1,"answer":"deny"}{"id":2}';;
esac; done)sh");
  CHECK(program.say(about_a).is_allowed());
  CHECK(program.say({Protocol::icmp, {}, IpAddress::v4(192, 0, 2, 1), 0}).is_allowed());
}

TEST_CASE("an answer that is none is deny at once where its question is known, and said once") {
  Program program(R"sh(while read line; do n=$((n + 1)); echo "{\"id\":$n,\"answer\":\"perhaps\"}"; done)sh");
  for (const auto& question : {about_a, about_b}) CHECK(program.say(question).answer->action == Action::deny);
  REQUIRE(program.warnings.size() == 1);
  CHECK_THAT(program.warnings[0], Catch::Contains("perhaps"));
}

TEST_CASE("a program that ended is not started again: what is asked is denied, and that is said once") {
  Program program("exit 1");
  for (const auto& question : {about_a, about_b}) CHECK(program.say(question).answer->action == Action::deny);
  CHECK(program.warnings.size() == 1);
}

TEST_CASE("a line without end is the end of a program") {
  Program program("exec cat /dev/zero");
  CHECK(program.say(about_a).answer->action == Action::deny);
  CHECK(program.warnings.size() == 1);
}
