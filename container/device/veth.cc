// A pair of virtual Ethernet devices in place of a TUN device:
//
//   guest's namespace            a namespace of its own
//   tun0, no ARP, offloads on ── nsrun, no address ──► packet socket ──► the host
//
// The far end sits in a second network namespace that nobody else is in and that only the socket keeps alive:
// the guest sees one device, as with TUN, and can neither read the far end nor take it down, and when the
// socket is closed everything goes. No kernel acts upon what passes there: the guest's frames are addressed
// to the guest's own device (guest_ethernet_address), so at the far end they are somebody else's
// (PACKET_OTHERHOST) and dropped in front of IP, whatever forwarding or filters that namespace has inherited;
// the few that are broadcast find no address, no route and no listener.
//
// What the guest's kernel may leave undone is what a virtio header can say, and no more: a packet that it
// cannot say is lost in the socket (virtio_net_hdr_from_skb in the kernel's include/linux/virtio_net.h).

#include "container/device/veth.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "container/device/net_setting.h"
#include "container/device/netlink.h"
#include "container/device/segmentation.h"
#include "runtime/network.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23  // since Linux 4.20
#endif
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000  // since Linux 5.11; those before ignore it
#endif

namespace nsrun {
namespace {

constexpr auto far_end = "nsrun";
constexpr unsigned far_mtu = 65'535;     // bytes: what we send may exceed the guest's MTU
constexpr int far_index = 4096;          // see make_pair()
constexpr int socket_buffer = 16 << 20;  // bytes of both queues; the kernel caps it at net.core.{r,w}mem_max
// What one TCP connection of the guest may fill of the socket's queue, which is shared by all: a fraction,
// and at least so many bytes, some five packets of 64 KiB, with all that the kernel charges for them.
constexpr int sharers = 16, min_share = 360 << 10;

Error veth_error(const std::string& doing, const char* advice) {
  return errno_error(doing, advice, ExitCode::no_tun);
}

// While it lives this thread is in a new network namespace; then it is back where it was.
class OtherNamespace {
 public:
  OtherNamespace()
      : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)),
        entered_(home_ && ::unshare(CLONE_NEWNET) == 0) {}
  ~OtherNamespace() {
    // A thread that stayed behind would set up the wrong namespace.
    if (entered_ && ::setns(home_.get(), CLONE_NEWNET) < 0) std::abort();
  }
  OtherNamespace(const OtherNamespace&) = delete;

  bool entered() const { return entered_; }
  int home() const { return home_.get(); }

 private:
  const UniqueFd home_;
  const bool entered_;
};

Result<UniqueFd> open_packet_socket() {
  // Protocol 0: it takes nothing before it is bound.
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket)
    return veth_error("cannot make a packet socket",
                      errno == EAFNOSUPPORT ? "load the af_packet module (modprobe af_packet as root)"
                                            : "the namespace needs CAP_NET_RAW");
  const int on = 1;
  if (::setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0)
    return veth_error("cannot turn on virtio headers of a packet socket", "");
  ::setsockopt(socket.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &socket_buffer, sizeof socket_buffer);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &socket_buffer, sizeof socket_buffer);
  return socket;
}

// The far end, without a link-local address, with which it would have something to say. libnl's status.
int bring_up_silently(nl_sock* netlink) {
  rtnl_link* found = nullptr;
  if (const int status = rtnl_link_get_kernel(netlink, 0, far_end, &found); status < 0) return status;
  const Link link(found), silent(rtnl_link_alloc()), up(rtnl_link_alloc());
  rtnl_link_inet6_set_addr_gen_mode(silent.get(), IN6_ADDR_GEN_MODE_NONE);
  rtnl_link_set_flags(up.get(), IFF_UP);
  // A kernel without IPv6 refuses the first, and needs it not.
  (void)rtnl_link_change(netlink, link.get(), silent.get(), 0);
  return rtnl_link_change(netlink, link.get(), up.get(), 0);
}

// The far end here, the guest's end in the namespace `home`.
Result<void> make_pair(const std::string& name, std::size_t mtu, int home) {
  const auto netlink = connect_netlink();
  if (!netlink) return netlink.error();
  const Link far(rtnl_link_veth_alloc());
  const Link near(rtnl_link_veth_get_peer(far.get()));
  const NetlinkAddress address(nl_addr_build(AF_LLC, guest_ethernet_address.data(), ETH_ALEN));
  rtnl_link_set_name(far.get(), far_end);
  // Ends with the same index, as they would get in two new namespaces, are taken for one device, whose link
  // may wait a second to be noticed (linkwatch_urgent_event in the kernel's net/core/link_watch.c).
  rtnl_link_set_ifindex(far.get(), far_index);
  rtnl_link_set_mtu(far.get(), far_mtu);
  rtnl_link_set_flags(far.get(), IFF_NOARP);
  rtnl_link_set_name(near.get(), name.c_str());
  rtnl_link_set_mtu(near.get(), static_cast<unsigned>(mtu));
  rtnl_link_set_addr(near.get(), address.get());
  rtnl_link_set_flags(near.get(), IFF_NOARP);
  rtnl_link_set_ns_fd(near.get(), home);
  int status = rtnl_link_add(netlink->get(), far.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (status == 0) status = bring_up_silently(netlink->get());
  if (status == 0) return {};
  auto error = netlink_error("cannot make the veth pair " + name, status);
  if (status == -NLE_OPNOTSUPP) error.advice = "load the veth module (modprobe veth as root)";
  error.exit = ExitCode::no_tun;
  return error;
}

// Packets that find the socket's queue full are lost, and the guest's TCP hears of it only so: its own queues
// end where the socket's begins. With a queue of 416 KiB, all that an ordinary account gets before Linux 6.18
// (net.core.rmem_max), one upload then crawls at 0.1 Gbit/s. So what a connection may have on its way, its
// send buffer, is limited to a share of the queue: 27 Gbit/s. The path is one copy long and needs no more.
void fit_send_buffers(int socket) {
  int queue = 0;
  socklen_t size = sizeof queue;
  if (::getsockopt(socket, SOL_SOCKET, SO_RCVBUF, &queue, &size) < 0) return;
  long least = 0, usual = 0, most = 0;
  const auto present = read_net_setting("ipv4/tcp_wmem");
  if (std::sscanf(present.c_str(), "%ld %ld %ld", &least, &usual, &most) != 3) return;
  most = std::min<long>(most, std::max(queue / sharers, min_share));
  write_net_setting("ipv4/tcp_wmem",
                    std::to_string(least) + " " + std::to_string(usual) + " " + std::to_string(most));
}

void ask_for_link(int socket, const std::string& name) {
  ethtool_value answer{ETHTOOL_GLINK, 0};
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&answer);
  ::ioctl(socket, SIOCETHTOOL, &request);
}

Result<void> bind_to_far_end(int socket) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(far_end));
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  return veth_error("cannot listen on the far end of a veth pair", "");
}

// The kernel sees to it that a flow of the guest's stays with one socket of a group.
Result<void> join_group(int socket) {
  constexpr int group = 1;  // of the ids in this namespace, where we are alone
  constexpr int kind = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
  const int word = group | kind << 16;
  if (::setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &word, sizeof word) == 0) return {};
  return veth_error("cannot make several queues of a veth pair", "ask for one worker");
}

Result<std::vector<UniqueFd>> open_far_end(const std::string& name, std::size_t mtu, std::size_t queues) {
  const OtherNamespace other;
  if (!other.entered())
    return veth_error("cannot make a network namespace for a veth pair",
                      errno == ENOSPC ? "too many: see the limit in /proc/sys/user/max_net_namespaces"
                                      : "it needs CAP_SYS_ADMIN, and /proc");
  if (auto made = make_pair(name, mtu, other.home()); !made) return made.error();
  std::vector<UniqueFd> sockets;
  for (std::size_t i = 0; i < queues; ++i) {
    auto socket = open_packet_socket();
    if (!socket) return socket.error();
    if (auto bound = bind_to_far_end(socket->get()); !bound) return bound.error();
    sockets.push_back(std::move(*socket));
    if (queues == 1) break;
    if (auto joined = join_group(sockets.back().get()); !joined) return joined.error();
  }
  return sockets;
}

}  // namespace

Result<std::vector<UniqueFd>> open_veth(const std::string& name, std::size_t mtu, std::size_t queues) {
  auto sockets = open_far_end(name, mtu, queues);
  if (!sockets) return sockets;
  if (auto limited = limit_segmentation(name); !limited) return limited.error();
  fit_send_buffers(sockets->front().get());
  return sockets;
}

// The question synchronizes (ethtool_op_get_link in the kernel's net/ethtool/ioctl.c), and a socket asks in
// the namespace it was made in.
void settle_veth(const std::string& name, int socket) {
  const UniqueFd here(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ask_for_link(here.get(), name);
  ask_for_link(socket, far_end);
}

}  // namespace nsrun
