#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "runtime/address.h"
#include "runtime/fd.h"

namespace nsrun::test {

// Runs `body` in a process of its own with a network of its own. Its status: 0 is success, 77 says that the
// namespaces, or what the body wanted in them, cannot be made here.
int in_own_network(const std::function<int()>& body);

// The device up, with this IPv4 address (/24) and MTU.
void set_up_device(const char* device, const IpAddress& address, int mtu);

// A UDP socket of the guest, and the sizes of the first datagrams that come into it within 2 s each.
UniqueFd guest_socket(const Endpoint& guest);
std::vector<ssize_t> received(int socket, std::size_t most);

}  // namespace nsrun::test
