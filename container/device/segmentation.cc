#include "container/device/segmentation.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "runtime/fd.h"

// A device's features go by names (ethtool -k), whose place in the kernel's list of them is their bit; the
// list differs from kernel to kernel.

namespace nsrun {
namespace {

bool ask(int socket, const std::string& device, void* words) {
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(words);
  return ::ioctl(socket, SIOCETHTOOL, &request) >= 0;
}

std::vector<std::string> feature_names(int socket, const std::string& device) {
  // struct ethtool_sset_info with one count, which is of the one set whose bit is in the mask.
  alignas(8) std::array<std::uint32_t, 6> sizes{ETHTOOL_GSSET_INFO};
  const std::uint64_t set = 1ull << ETH_SS_FEATURES;
  std::memcpy(&sizes[2], &set, sizeof set);
  if (!ask(socket, device, sizes.data())) return {};
  const std::uint32_t count = sizes[4];

  // struct ethtool_gstrings, then the names.
  const std::array<std::uint32_t, 3> request{ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count};
  std::vector<char> room(sizeof request + std::size_t{count} * ETH_GSTRING_LEN + 1);
  std::memcpy(room.data(), request.data(), sizeof request);
  if (!ask(socket, device, room.data())) return {};
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i)
    names.emplace_back(room.data() + sizeof request + std::size_t{i} * ETH_GSTRING_LEN);
  return names;
}

bool kernel_says_udp_segmentation() {
  utsname kernel{};
  unsigned major = 0, minor = 0;
  ::uname(&kernel);
  return std::sscanf(kernel.release, "%u.%u", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 2));
}

bool is_unwanted(std::string_view feature) {
  if (feature == "tx-tcp-segmentation" || feature == "tx-tcp6-segmentation") return false;
  if (feature == "tx-udp-segmentation") return !kernel_says_udp_segmentation();
  return feature == "tx-gso-list" || (feature.starts_with("tx-") && feature.ends_with("-segmentation"));
}

}  // namespace

Result<void> limit_segmentation(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto names = feature_names(socket.get(), name);
  const std::size_t words = (names.size() + 31) / 32;
  std::vector<std::uint32_t> room(2 +
                                  words * 2);  // ethtool_sfeatures: then pairs of valid and requested bits
  room[0] = ETHTOOL_SFEATURES;
  room[1] = static_cast<std::uint32_t>(words);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (is_unwanted(names[i])) room[2 + i / 32 * 2] |= 1u << i % 32;
  if (!names.empty() && ask(socket.get(), name, room.data())) return {};
  return errno_error("cannot set the offloads of " + name, "the namespace needs CAP_NET_ADMIN",
                     ExitCode::no_tun);
}

}  // namespace nsrun
