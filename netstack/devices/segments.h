#pragma once

#include <vector>

#include "netstack/devices/device.h"

namespace nsrun {

struct Segment {
  std::vector<std::byte> bytes;
  Offload offload = {};
};

// A packet as the segments that the kernel would make of it (RFC 9293 3.7; udp(7), UDP_SEGMENT), each to have
// its checksum filled in; as it is, where no segmentation was asked for. Nothing for what is shorter than its
// own headers, or would be thousands.
std::vector<Segment> segments_of(Bytes packet, const Offload& offload);

}  // namespace nsrun
