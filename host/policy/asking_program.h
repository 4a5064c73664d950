#pragma once

#include <map>
#include <optional>
#include <string>

#include "host/policy/approval_queue.h"
#include "runtime/command.h"

namespace nsrun {

// A program that is asked: a shell command, started with the first question and kept. Each question is a line
// of JSON on its standard input, each answer one on its standard output, in any order:
//
//   {"id":1,"protocol":"tcp","name":"example.org","address":null,"port":443}
//   {"id":1,"answer":"allow","remember":"always"}          deny, reject; once (where it is left out)
//
// It runs outside the sandbox. Once it has ended it is not started again: what is asked from then on is
// denied.
class AskingProgram {
 public:
  // `home`: the loop that talks with it. `warn` hears of each kind of trouble once.
  AskingProgram(Executor home, std::string command, ApprovalQueue::Warn warn);

  void ask(const Question& question, Reply reply);  // from any thread
  Task<> end();                                     // at home; it has ended, and nobody asks any more

 private:
  void take(const Question& question, Reply reply);
  Result<void> start();
  Task<> converse();
  Task<> write_questions();
  Task<> read_answers();
  void understand(std::string_view line);
  Answer understand_answer(std::string_view line, std::string_view answer, std::string_view remember);
  void give_up(const std::string& why);
  void tell_nonsense(std::string_view line);

  const Executor home_;
  const std::string command_;
  const ApprovalQueue::Warn warn_;
  Scope tasks_;
  Signal more_;  // to be written
  Process process_;
  std::optional<Descriptor> to_program_, from_program_;
  std::string unsent_, received_;
  std::map<std::uint64_t, Reply> waiting_;  // by id
  std::uint64_t last_id_ = 0;
  bool started_ = false, over_ = false, told_nonsense_ = false;
};

}  // namespace nsrun
