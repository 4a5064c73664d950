#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"
#include "runtime/task.h"

namespace nsrun {

// Which lines of waking are wanted: those of a level and of all before it.
enum class WakeLevel : std::uint8_t { off, error, warn, info, debug };

// As env_logger reads RUST_LOG for proxytainer: "debug", "warn,proxytainer=debug", "off"; for nsrun, too.
// Empty: info. Nothing: it is not valid.
std::optional<WakeLevel> parse_wake_level(std::string_view text);

using WakeSay = std::function<void(WakeLevel level, const std::string& line)>;

// The troubles of a group. The same one is reported once, until there has been none of its kind for a while.
class WakeErrorLog {
 public:
  enum class Doing : std::uint8_t { look, start, stop, wait };

  WakeErrorLog(std::string name, WakeSay say) : name_(std::move(name)), say_(std::move(say)) {}
  void trouble(Doing doing, const Error& error);
  void is_well(Doing doing);

 private:
  // The last trouble, and since when there is none any more.
  struct Said {
    std::string what;
    std::optional<Clock::time_point> well_since;
  };
  const std::string name_;
  const WakeSay say_;
  std::map<Doing, Said> said_;
};

}  // namespace nsrun
