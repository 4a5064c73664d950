#include "cmd/ctl/ctl_top.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <chrono>
#include <cstdio>
#include <map>

#include "cmd/ctl/ctl_tables.h"
#include "host/log/summary.h"

namespace nsrun {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr int refresh_ms = 1000;

struct Moved {
  std::uint64_t up = 0, down = 0;  // bytes
};
using Look = std::map<std::uint64_t, Moved>;  // by the flow's number

struct Line {
  const json::object* flow;
  double up, down;  // bytes a second
};

Look look_at(const json::array& flows) {
  Look look;
  for (const auto& value : flows) {
    const auto& flow = value.as_object();
    look[number(flow, "flow")] = {number(flow, "bytes_up"), number(flow, "bytes_down")};
  }
  return look;
}

// Rates since `before`; without one, over the flow's life.
std::vector<Line> ranked(const json::array& flows, const Look& before, double seconds) {
  std::vector<Line> lines;
  for (const auto& value : flows) {
    const auto& flow = value.as_object();
    const auto then = before.find(number(flow, "flow"));
    const bool is_known = then != before.end() && seconds > 0;
    const Moved since = is_known ? then->second : Moved{};
    const double time =
        is_known ? seconds : std::max(1e-3, static_cast<double>(number(flow, "duration_ms")) / 1000);
    lines.push_back({&flow, static_cast<double>(number(flow, "bytes_up") - since.up) / time,
                     static_cast<double>(number(flow, "bytes_down") - since.down) / time});
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.up + a.down > b.up + b.down; });
  return lines;
}

std::string a_second(double bytes) { return in_short(static_cast<std::uint64_t>(bytes)) + "/s"; }

std::vector<std::string> lines_of(const std::vector<Line>& flows, std::size_t most) {
  using Side = TextTable::Side;
  TextTable table(
      {Side::right, Side::right, Side::right, Side::right, Side::right, Side::left, Side::left, Side::left});
  table.add({"FLOW", "UP", "DOWN", "UP", "DOWN", "PROTO", "PEER", "NAME"});
  for (const auto& [flow, up, down] : flows) {
    if (most-- == 0) break;
    table.add({cell(*flow, "flow"), a_second(up), a_second(down), in_short(number(*flow, "bytes_up")),
               in_short(number(*flow, "bytes_down")), cell(*flow, "protocol"), cell(*flow, "peer"),
               cell(*flow, "name")});
  }
  return table.lines();
}

// The terminal as `top` needs it, and as it was afterwards: keys come at once and unseen, the cursor is
// hidden, and what was on the screen comes back (xterm's alternate screen).
class Screen {
 public:
  Screen() {
    sigset_t ends;
    ::sigemptyset(&ends);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&ends, signal);
    ::sigprocmask(SIG_BLOCK, &ends, nullptr);
    signals_ = UniqueFd(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
    has_keys_ = ::tcgetattr(0, &before_) == 0;
    if (has_keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(0, TCSANOW, &raw);
    }
    std::fputs("\033[?1049h\033[?25l", stdout);
  }
  ~Screen() {
    std::fputs("\033[?25h\033[?1049l", stdout);
    std::fflush(stdout);
    if (has_keys_) ::tcsetattr(0, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;

  static winsize size() {
    winsize size{};
    ::ioctl(1, TIOCGWINSZ, &size);
    // A terminal that does not know its size is taken for the usual one.
    return size.ws_row > 0 && size.ws_col > 0 ? size : winsize{24, 80, 0, 0};
  }

  void show(const std::vector<std::string>& lines) {
    std::fputs("\033[H", stdout);
    for (const auto& line : lines)
      std::printf("%.*s\033[K\r\n", std::max<int>(size().ws_col - 1, 1), line.c_str());
    std::fputs("\033[J", stdout);
    std::fflush(stdout);
  }

  // Until it is time for the next look. False: the user has had enough.
  bool wait() {
    pollfd sources[2] = {{signals_.get(), POLLIN, 0}, {has_keys_ ? 0 : -1, POLLIN, 0}};
    const auto until = Clock::now() + std::chrono::milliseconds(refresh_ms);
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0 || ::poll(sources, 2, static_cast<int>(left)) == 0) return true;
      signalfd_siginfo info;
      if (::read(signals_.get(), &info, sizeof info) == sizeof info && info.ssi_signo != SIGWINCH)
        return false;
      char key = 0;
      if (sources[1].revents == 0) continue;
      if (::read(0, &key, 1) <= 0) sources[1].fd = -1;
      if (key == 'q') return false;
    }
  }

 private:
  UniqueFd signals_;
  bool has_keys_ = false;
  termios before_{};
};

}  // namespace

Result<json::array> all_flows(ControlClient& client) {
  json::array all;
  std::uint64_t after = 0;
  for (;;) {
    auto answer = client.ask({{"request", "flows"}, {"after", after}});
    if (!answer) return answer.error();
    auto& flows = answer->as_object()["flows"].as_array();
    if (!flows.empty()) after = number(flows.back().as_object(), "flow");
    const bool more = answer->as_object()["more"].as_bool() && !flows.empty();
    for (auto& flow : flows) all.push_back(std::move(flow));
    if (!more) return all;
  }
}

Result<int> show_top(ControlClient& client) {
  std::optional<Screen> screen;
  if (::isatty(1)) screen.emplace();
  Look before;
  auto looked = Clock::now();
  for (;;) {
    const auto flows = all_flows(client);
    if (!flows) return flows.error();
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - std::exchange(looked, now)).count();
    const auto lines = ranked(*flows, before, before.empty() ? 0 : seconds);
    before = look_at(*flows);
    if (!screen) {
      for (const auto& line : lines_of(lines, lines.size())) std::puts(line.c_str());
      return 0;
    }
    const std::size_t rows = Screen::size().ws_row;
    std::vector<std::string> shown{std::to_string(flows->size()) + " flows; q ends"};
    for (auto& line : lines_of(lines, rows > 4 ? rows - 4 : 1)) shown.push_back(std::move(line));
    screen->show(shown);
    if (!screen->wait()) return 0;
  }
}

}  // namespace nsrun
