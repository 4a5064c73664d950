#include "container/closed/unix_sockets.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>

#include "container/netlink.h"

// Asked by sock_diag(7) rather than read in /proc/net/unix, where a line break in a path looks like the next
// line.

namespace nsrun {
namespace {

constexpr auto doing = "cannot list the unix sockets that lead out of the sandbox";

int take_path(nl_msg* message, void* into) {
  nlattr* const name = ::nlmsg_find_attr(::nlmsg_hdr(message), sizeof(unix_diag_msg), UNIX_DIAG_NAME);
  if (!name || ::nla_len(name) < 1) return NL_OK;
  std::string path(static_cast<const char*>(::nla_data(name)), static_cast<std::size_t>(::nla_len(name)));
  path.resize(std::min(path.size(), path.find('\0')));  // an abstract name begins with one
  if (!path.empty()) static_cast<std::vector<std::string>*>(into)->push_back(std::move(path));
  return NL_OK;
}

Error failed(int number) {
  auto error = netlink_error(doing, number);
  error.advice = "the kernel needs CONFIG_UNIX_DIAG: as root, modprobe unix_diag";
  return error;
}

}  // namespace

Result<std::vector<std::string>> bound_unix_paths() {
  std::vector<std::string> paths;
  const NetlinkSocket socket(::nl_socket_alloc());
  if (!socket) return Error{doing, errno_code(ENOMEM)};
  if (const int number = ::nl_connect(socket.get(), NETLINK_SOCK_DIAG); number < 0) return failed(number);
  ::nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, take_path, &paths);
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = UDIAG_SHOW_NAME;
  int number = ::nl_send_simple(socket.get(), SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof request);
  if (number >= 0) number = ::nl_recvmsgs_default(socket.get());
  if (number < 0) return failed(number);
  // A listener's path is that of each connection it accepted, too.
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

}  // namespace nsrun
