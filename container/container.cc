#include "container/container.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "container/command/sockets_for_host.h"
#include "container/device/guest_device.h"
#include "container/device/guest_network.h"
#include "container/device/packet_pump.h"
#include "container/device/veth.h"
#include "runtime/handshake.h"
#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

constexpr auto tun_path = "/dev/net/tun";

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return errno_error("cannot make the directory " + path);
}

Result<void> warn(int host, std::string words) {
  Message warning{MessageType::warning};
  warning.body = std::move(words);
  return send_message(host, warning);
}

Error interrupted(int signal) {
  return {"stopped by signal " + std::to_string(signal) + " before the network was up",
          {},
          {},
          static_cast<ExitCode>(128 + signal)};
}

}  // namespace

Result<Container> Container::open(int extra_fds, NetworkOptions network, DeviceMode mode) {
  return open(UniqueFd(3 + extra_fds), std::move(network), mode);
}

Result<Container> Container::open(UniqueFd host, NetworkOptions network, DeviceMode mode) {
  if (::fcntl(host.get(), F_SETFD, FD_CLOEXEC) < 0)
    return errno_error("descriptor " + std::to_string(host.release()) + " is not the host's",
                       "start this program through Host::attach_to_cmd");
  const bool hand_over = mode == DeviceMode::hand_over;
  auto device = open_guest_device(network, hand_over ? network.queues : 1, hand_over);
  if (!device) return device.error();
  if (device->why_not_tun)
    if (auto sent = warn(host.get(), device->why_not_tun->message() + ": a veth pair takes its place"); !sent)
      return sent.error();
  return Container(std::move(host), std::move(device->queues), std::move(network), mode);
}

Result<void> Container::setup_network() {
  if (network_.ipv6 && !kernel_has_ipv6()) {
    network_.ipv6 = false;
    if (auto sent = warn(host(), "this kernel has no IPv6: the guest's network is IPv4 only"); !sent)
      return sent;
  }
  if (auto done = set_up_guest_network(network_); !done)
    return explain_missing_capability(done.error(), read_namespace_settings());
  settle_veth(network_.device, queues_.front().get());
  if (auto sent = announce(); !sent) return sent;
  return wait_for_go();
}

Result<void> Container::announce() const {
  Message message{mode_ == DeviceMode::pump ? MessageType::pump : MessageType::device};
  message.number = static_cast<std::int32_t>(network_.mtu);
  for (const UniqueFd& queue : queues_) {
    if (mode_ == DeviceMode::pump) break;
    UniqueFd copy(::fcntl(queue.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return errno_error("cannot copy the network device's descriptor");
    message.fds.push_back(std::move(copy));
  }
  return send_message(host(), message);
}

Result<void> Container::wait_for_go() const {
  for (;;) {
    auto message = receive_message(host());
    if (!message) return message.error();
    if (!*message) return Error{"the host left before the network was up"};
    const Message& answer = **message;
    if (answer.type == MessageType::go) return {};
    if (answer.type == MessageType::make_sockets) make_sockets_for(host(), answer);
    if (answer.type == MessageType::failed)
      return Error{
          answer.body, {}, {}, answer.number ? static_cast<ExitCode>(answer.number) : ExitCode::failed};
    if (answer.type == MessageType::signal) return interrupted(answer.number);
  }
}

Result<void> Container::mount_tun_device(const std::string& new_root) const {
  if (::access(tun_path, F_OK) < 0)
    return errno_error("cannot make " + std::string(tun_path) + " visible below " + new_root,
                       "this machine has none; the sandbox's own network needs none");
  for (const char* directory : {"/dev", "/dev/net"})
    if (auto made = make_directory(new_root + directory); !made) return made;
  const std::string target = new_root + tun_path;
  if (::mknod(target.c_str(), S_IFREG | 0666, 0) < 0 && errno != EEXIST)
    return errno_error("cannot make the mount point " + target);
  if (::mount(tun_path, target.c_str(), nullptr, MS_BIND, nullptr) < 0)
    return explain_missing_capability(errno_error("cannot bind " + std::string(tun_path) + " to " + target,
                                                  "this needs a separate mount namespace"),
                                      read_namespace_settings());
  return {};
}

Result<void> Container::read_loop() const {
  return mode_ == DeviceMode::pump ? pump_from_host(host(), queues_.front().get()) : wait_for_hang_up(host());
}

Result<void> Container::write_loop() const {
  return mode_ == DeviceMode::pump ? pump_to_host(host(), queues_.front().get()) : wait_for_hang_up(host());
}

}  // namespace nsrun
