#include "tests/support/own_network.h"

#include <fcntl.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace nsrun::test {
namespace {

// Programs that the body starts keep its capabilities only as root of the namespace.
bool write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool map_ids(uid_t user, gid_t group) {
  return write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1") &&
         write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
}

}  // namespace

int in_own_network(const std::function<int()>& body) {
  std::fflush(nullptr);
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && map_ids(user, group) ? body() : 77);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

void set_up_device(const char* device, const IpAddress& address, int mtu) {
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  in->sin_family = AF_INET;
  std::memcpy(&in->sin_addr, address.data(), 4);
  ::ioctl(control.get(), SIOCSIFADDR, &request);
  const in_addr mask{htonl(0xffffff00)};
  in->sin_addr = mask;
  ::ioctl(control.get(), SIOCSIFNETMASK, &request);
  request.ifr_mtu = mtu;
  ::ioctl(control.get(), SIOCSIFMTU, &request);
  ::ioctl(control.get(), SIOCGIFFLAGS, &request);
  request.ifr_flags |= IFF_UP;
  ::ioctl(control.get(), SIOCSIFFLAGS, &request);
}

std::vector<ssize_t> received(int socket, std::size_t most) {
  std::vector<ssize_t> sizes;
  std::vector<std::byte> room(65'536);
  while (sizes.size() < most) {
    const ssize_t got = ::recv(socket, room.data(), room.size(), 0);
    if (got < 0) break;
    sizes.push_back(got);
  }
  return sizes;
}

UniqueFd guest_socket(const Endpoint& guest) {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address(guest);
  const timeval limit{2, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::bind(socket.get(), address.get(), address.length) != 0) socket.reset();
  return socket;
}

}  // namespace nsrun::test
