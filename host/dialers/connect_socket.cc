#include "host/dialers/connect_socket.h"

namespace nsrun {
namespace {

// 0 when connected, EINPROGRESS or EALREADY while the far side is silent, else why it failed. Calling it
// again asks how the first call went (connect(2) in Linux reports and clears the socket's error).
int try_connect(int socket, const SocketAddress& address) {
  if (::connect(socket, address.get(), address.length) == 0 || errno == EISCONN) return 0;
  return errno;
}

// How the first call went: as try_connect, but for vsock, where a call after one that failed begins anew
// (vsock_connect in the kernel's net/vmw_vsock/af_vsock.c).
int ask_again(int socket, const SocketAddress& address) {
  if (address.family() != AF_VSOCK) return try_connect(socket, address);
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
  SocketAddress peer;
  if (error || ::getpeername(socket, peer.get(), &peer.length) == 0) return error;
  return EINPROGRESS;
}

bool under_way(int error) { return error == EINPROGRESS || error == EALREADY || error == EINTR; }

}  // namespace

Task<Result<UniqueFd>> connect_socket(Executor executor, UniqueFd socket, SocketAddress address,
                                      std::string doing) {
  int error = try_connect(socket.get(), address);
  // On loopback the handshake is done by now; asking at once saves a trip through the reactor.
  if (under_way(error)) error = ask_again(socket.get(), address);
  if (under_way(error)) {
    Descriptor waiter(executor);
    boost::system::error_code failure;
    waiter.assign(socket.get(), failure);
    if (failure) co_return Error{doing, failure};
    socket.release();  // the waiter's, which closes it when this task is cancelled
    while (under_way(error)) {
      co_await waiter.async_wait(Descriptor::wait_write, use_task);
      error = ask_again(waiter.native_handle(), address);
    }
    socket.reset(waiter.release());
  }
  if (error) co_return Error{doing, errno_code(error)};
  co_return socket;
}

}  // namespace nsrun
