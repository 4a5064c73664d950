#include "cmd/forced_exit.h"

#include <boost/asio/co_spawn.hpp>
#include <fstream>
#include <string>

namespace nsrun {
namespace {

constexpr auto interval = 100ms;      // between looks
constexpr auto max_end = 10s;         // of a command that lives, after the second SIGTERM
constexpr int looks_until_kept = 10;  // in a row: for moments every process is in that state

char state_of(const std::string& directory) {
  std::ifstream file(directory + "/stat");
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(") ");
  return name_end == text.npos ? '\0' : text[name_end + 2];
}

Task<> wait(ForcedExit::Sandbox sandbox) {
  const auto limit = Clock::now() + max_end;
  for (int kept = 0; kept < looks_until_kept && Clock::now() < limit;) {
    co_await sleep_for(interval);
    if (sandbox.is_over()) co_return;
    kept = is_kept_by_kernel(sandbox.agent) ? kept + 1 : 0;
  }
  sandbox.give_up();
}

}  // namespace

bool is_kept_by_kernel(pid_t process) {
  const auto number = std::to_string(process);
  if (state_of("/proc/" + number) == 'D') return true;
  std::ifstream children("/proc/" + number + "/task/" + number + "/children");
  for (std::string child; children >> child;)
    if (state_of("/proc/" + child) == 'D') return true;
  return false;
}

void ForcedExit::terminated() {
  if (++times_ == 2) asio::co_spawn(context_, wait(sandbox_), [](std::exception_ptr) {});
}

}  // namespace nsrun
