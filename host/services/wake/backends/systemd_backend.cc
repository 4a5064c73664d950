#include "host/services/wake/backends/systemd_backend.h"

#include <algorithm>

#include "host/services/wake/backends/run_program.h"

namespace nsrun {
namespace {

constexpr auto systemd_call_limit =
    100s;  // systemd's own for a start or a stop is 90 s (DefaultTimeoutStartSec)

bool has(const std::string& shown, std::string_view line) {
  return ("\n" + shown).find("\n" + std::string(line) + "\n") != std::string::npos;
}

std::string load_state(const std::string& shown) {
  constexpr std::string_view key = "\nLoadState=";
  const auto all = "\n" + shown;
  const auto found = all.find(key);
  if (found == all.npos) return {};
  const auto begin = found + key.size();
  return all.substr(begin, all.find('\n', begin) - begin);
}

// systemctl(1) and org.freedesktop.systemd1(5) have the states.
Error not_loaded(const std::string& unit, const std::string& state) {
  if (state == "not-found")
    return {"there is no unit '" + unit + "'", {}, "systemctl list-unit-files lists them"};
  if (state == "masked")
    return {"the unit '" + unit + "' is masked", {}, "systemctl unmask makes it startable"};
  if (state.empty()) return {"systemctl tells nothing of the unit '" + unit + "'"};
  return {"systemd has not loaded the unit '" + unit + "' (LoadState=" + state + ")",
          {},
          "systemctl status tells why"};
}

// For an error: the last line.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text.erase(0, text.rfind('\n') + 1);
  std::erase_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  return text;
}

}  // namespace

Result<Backend::Status> SystemdBackend::understand(const std::string& unit, const std::string& shown) {
  if (!has(shown, "LoadState=loaded")) return not_loaded(unit, load_state(shown));
  if (has(shown, "ActiveState=active") || has(shown, "ActiveState=reloading")) return Status::running;
  return has(shown, "ActiveState=activating") ? Status::starting : Status::idle;
}

Task<Result<Backend::Status>> SystemdBackend::status() {
  std::vector<std::string> words = {"show", "-p", "LoadState", "-p", "ActiveState"};
  const auto shown = co_await call(std::move(words));
  if (!shown) co_return shown.error();
  co_return understand(unit_, *shown);
}

Task<Result<void>> SystemdBackend::start() {
  std::vector<std::string> words = {"start"};
  const auto done = co_await call(std::move(words));
  if (!done) co_return done.error();
  co_return Result<void>();
}

Task<Result<void>> SystemdBackend::stop() {
  std::vector<std::string> words = {"stop"};
  const auto done = co_await call(std::move(words));
  if (!done) co_return done.error();
  co_return Result<void>();
}

Task<Result<std::string>> SystemdBackend::call(std::vector<std::string> words) {
  const std::string doing = "cannot have systemd " + words[0] + " " + unit_;
  std::vector<std::string> argv = {"systemctl", of_user_ ? "--user" : "--system", "--no-ask-password"};
  argv.insert(argv.end(), words.begin(), words.end());
  argv.insert(argv.end(), {"--", unit_});
  auto done = co_await run_program(executor_, std::move(argv), systemd_call_limit);
  if (!done) co_return Error{doing + ": " + done.error().message()};
  if (done->status == static_cast<int>(ExitCode::not_found))
    co_return Error{doing + ": there is no systemctl here"};
  if (done->status != 0) co_return Error{doing + ": " + last_line(std::move(done->output))};
  co_return Result<std::string>(boost::system::in_place_value, std::move(done->output));
}

}  // namespace nsrun
