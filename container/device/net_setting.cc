#include "container/device/net_setting.h"

#include <fcntl.h>

#include <algorithm>

#include "runtime/fd.h"

namespace nsrun {
namespace {

UniqueFd open_setting(const std::string& name, int flags) {
  return UniqueFd(::open(("/proc/sys/net/" + name).c_str(), flags | O_CLOEXEC));
}

}  // namespace

void write_net_setting(const std::string& name, const std::string& value) {
  const UniqueFd file = open_setting(name, O_WRONLY);
  if (file) (void)!::write(file.get(), value.data(), value.size());
}

std::string read_net_setting(const std::string& name) {
  const UniqueFd file = open_setting(name, O_RDONLY);
  char text[128];
  const ssize_t size = file ? ::read(file.get(), text, sizeof text) : 0;
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

}  // namespace nsrun
