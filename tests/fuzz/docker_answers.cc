// Whatever answers at the Docker API's socket is understood or refused; an id that is understood can stand in
// a path, and a message in a line.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "host/services/wake/backends/docker_answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (const auto ids = docker::parse_list(body))
    for (const auto& id : *ids)
      if (id.empty() || id.find_first_of("/?# \r\n.%") != id.npos) std::abort();
  const auto seen = docker::parse_inspection(body, true);
  if (seen && seen->is_paused && seen->status != Backend::Status::idle) std::abort();
  const auto described = docker::parse_description(body);
  if (described && described->name.find_first_of("/?#:@[] \r\n%") != std::string::npos) std::abort();
  (void)docker::concerns(body, {"proxytainer.group=web"});
  if (docker::parse_message(body).find('\n') != std::string::npos) std::abort();
  return 0;
}
