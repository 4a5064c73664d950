// A configuration of groups is whatever somebody wrote: it is understood or refused with its place.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "host/services/wake/wake_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto groups = parse_wake_config(text, "wake.yaml", "");
  if (!groups) {
    if (groups.error().exit != ExitCode::usage || !groups.error().doing.starts_with("wake.yaml:"))
      std::abort();
    return 0;
  }
  if (groups->empty()) std::abort();
  for (const auto& group : *groups) {
    const int starts =
        !group.exec.empty() + !group.systemd.empty() + !group.labels.empty() + !group.sandbox.empty();
    if (group.options.name.empty() || group.forwards.empty() || starts != 1) std::abort();
  }
  return 0;
}
