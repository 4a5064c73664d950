#include "netstack/devices/channel_device.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

namespace nsrun {

ChannelDevice::ChannelDevice(UniqueFd socket) : socket_(std::move(socket)) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

Device::ReadStatus ChannelDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  offload = {};
  const ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return ReadStatus::packet;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? ReadStatus::empty : ReadStatus::closed;
}

void ChannelDevice::write(const Offload&, std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  (void)::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace nsrun
