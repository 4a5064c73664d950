#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/flows.h"

namespace nsrun::testing {

class ProgramRun;

// How a program is started, beside its words.
struct ProgramOptions {
  std::string input = {};                                             // on its standard input
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to, or in place of, the test's
  std::string directory = {};               // where it starts; empty: where the test is
  std::chrono::milliseconds limit{60'000};  // then it is killed, and timed_out
};

// What came of a program.
struct Outcome {
  int status = 0;  // its exit status; 128 + n when signal n ended it
  bool timed_out = false;
  std::string out, err;  // what it printed; the first max_output bytes of each
  Flows flows;           // its own, but for questions to the name server

  std::string to_string() const;  // all of it: for the message of a test that failed
};

constexpr std::size_t max_output = 64 * 1024 * 1024;  // bytes; what follows is thrown away

// A program that runs in a world. The world goes on only while the test waits here, on the test's own thread:
// handlers run inside these calls, and nowhere else.
class Program {
 public:
  explicit Program(ProgramRun& run) : run_(run) {}

  // Until it has ended, and every flow of it with it. Throws what a handler threw, and ErrorException where
  // the program could not be started.
  Outcome wait();
  // Until `condition` holds, which is asked after each thing that happens; false: the program ended before,
  // or its limit passed. Throws as wait() does.
  bool wait_until(const std::function<bool()>& condition);
  void signal(int number);
  bool is_running() const;
  const std::string& out() const;  // so far
  const std::string& err() const;

 private:
  ProgramRun& run_;  // the world's
};

}  // namespace nsrun::testing
