#include "host/services/wake/backends/sandbox_forwards.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace nsrun {
namespace {

constexpr std::string_view folder_name = "/nsrun-wake-XXXXXX";
// Of a socket's path (unix(7): 107), with room for its name in the folder.
constexpr std::size_t max_folder = 90;

// Paths there fit into a socket's address, and into a URL as they are.
bool is_usable(const std::string& place) {
  const auto is_plain = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' ||
           c == '.' || c == '_' || c == '-';
  };
  return place.starts_with('/') && place.size() + folder_name.size() <= max_folder &&
         std::ranges::all_of(place, is_plain);
}

// A folder for this account alone (mkdtemp(3)).
Result<std::string> make_folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (const std::string place : {runtime ? runtime : "", "/tmp"}) {
    std::string folder = place + std::string(folder_name);
    if (is_usable(place) && ::mkdtemp(folder.data()))
      return {boost::system::in_place_value, std::move(folder)};
  }
  return errno_error("cannot make a folder in /tmp for a sandbox's sockets");
}

}  // namespace

Result<SandboxForwards> SandboxForwards::make(std::vector<Forward>& forwards) {
  auto folder = make_folder();
  if (!folder) return folder.error();
  SandboxForwards doors;
  doors.folder_ = std::move(*folder);
  for (auto& forward : forwards) {
    if (!forward.dial.is_guest())
      return Error{"'" + forward.to_string() + "' does not lead into the sandbox",
                   {},
                   "with --sandbox write LISTEN=guest+tcp://127.0.0.1:PORT",
                   ExitCode::usage};
    const bool stream = forward.dial.transport() == Transport::stream;
    const auto number = std::to_string(doors.words_.size() / 2);
    auto door = EndpointUrl::parse((stream ? "unix://" : "unix+dgram://") + doors.folder_ + "/" + number);
    if (!door) return door.error();
    doors.words_.push_back("--forward");
    doors.words_.push_back(door->text + "=" + forward.dial.text);
    forward.dial = std::move(*door);
  }
  return doors;
}

SandboxForwards::~SandboxForwards() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace nsrun
