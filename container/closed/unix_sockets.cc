#include "container/closed/unix_sockets.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>

// Asked by sock_diag(7) rather than read in /proc/net/unix, where a line break in a path looks like the next
// line, and inode numbers are those of sockets rather than of files.

namespace nsrun {
namespace {

constexpr auto cannot_list = "cannot list unix sockets";

constexpr int max_looks = 3;  // for one socket; then it is not there

Error failed(int number) {
  auto error = netlink_error(cannot_list, number);
  error.advice = "the kernel needs CONFIG_UNIX_DIAG: as root, modprobe unix_diag";
  return error;
}

nlattr* attribute(nl_msg* message, int type) {
  return ::nlmsg_find_attr(::nlmsg_hdr(message), sizeof(unix_diag_msg), type);
}

int take_path(nl_msg* message, void* into) {
  nlattr* const name = attribute(message, UNIX_DIAG_NAME);
  if (!name || ::nla_len(name) < 1) return NL_OK;
  std::string path(static_cast<const char*>(::nla_data(name)), static_cast<std::size_t>(::nla_len(name)));
  path.resize(std::min(path.size(), path.find('\0')));  // an abstract name begins with one
  if (!path.empty()) static_cast<std::vector<std::string>*>(into)->push_back(std::move(path));
  return NL_OK;
}

struct Sought {
  FileIdentity file;
  bool found = false;
};

int compare_file(nl_msg* message, void* into) {
  auto& sought = *static_cast<Sought*>(into);
  nlattr* const bound = attribute(message, UNIX_DIAG_VFS);
  if (!bound || ::nla_len(bound) < static_cast<int>(sizeof(unix_diag_vfs))) return NL_OK;
  const auto& file = *static_cast<const unix_diag_vfs*>(::nla_data(bound));
  sought.found |= file.udiag_vfs_dev == sought.file.device &&
                  file.udiag_vfs_ino == static_cast<std::uint32_t>(sought.file.inode);
  return NL_OK;
}

}  // namespace

Result<UnixSockets> UnixSockets::open() {
  NetlinkSocket socket(::nl_socket_alloc());
  if (!socket) return Error{cannot_list, errno_code(ENOMEM)};
  if (const int number = ::nl_connect(socket.get(), NETLINK_SOCK_DIAG); number < 0) return failed(number);
  return UnixSockets(std::move(socket));
}

UnixSockets::UnixSockets(NetlinkSocket socket) : socket_(std::move(socket)) {
  socklen_t size = sizeof network_;
  ::getsockopt(::nl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_NETNS_COOKIE, &network_, &size);
}

Result<void> UnixSockets::ask(unsigned show, int (*take)(nl_msg*, void*), void* into) const {
  ::nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, take, into);
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = show;
  int number = ::nl_send_simple(socket_.get(), SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof request);
  if (number >= 0) number = ::nl_recvmsgs_default(socket_.get());
  if (number < 0) return failed(number);
  return {};
}

Result<std::vector<std::string>> UnixSockets::paths() const {
  std::vector<std::string> found;
  if (auto asked = ask(UDIAG_SHOW_NAME, take_path, &found); !asked) return asked.error();
  // A listener's path is that of each connection it accepted, too.
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<bool> UnixSockets::has(const FileIdentity& file) const {
  Sought sought{file};
  // The kernel counts its way through a list that changes meanwhile, and may pass one over.
  for (int look = 0; look < max_looks && !sought.found; ++look)
    if (auto asked = ask(UDIAG_SHOW_VFS, compare_file, &sought); !asked) return asked.error();
  return sought.found;
}

}  // namespace nsrun
