#pragma once

#include <cstdint>
#include <vector>

#include "runtime/bytes.h"

namespace nsrun {

// An IP packet of ours (no options, no extension headers, checksums complete) in fragments of at most `mtu`
// bytes, headers included (RFC 791 3.2, RFC 8200 4.5). `id` differs from that of other packets on their way.
// Nothing for what is no IP packet, or where the MTU leaves no room.
std::vector<std::vector<std::byte>> fragments_of(Bytes packet, std::size_t mtu, std::uint32_t id);

}  // namespace nsrun
