// A packet of the guest with what it asks of the kernel: 10 bytes of virtio header, then the packet. What it
// is taken apart into has all of its payload.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "netstack/devices/segments.h"

namespace {

using namespace nsrun;

void require(bool fact) {
  if (!fact) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Offload offload;
  if (size < sizeof offload) return 0;
  std::memcpy(static_cast<void*>(&offload), data, sizeof offload);
  std::vector<std::byte> packet(size - sizeof offload);
  if (!packet.empty()) std::memcpy(packet.data(), data + sizeof offload, packet.size());

  const auto segments = segments_of(packet, offload);
  if (offload.segmentation == 0) require(segments.size() == 1 && segments[0].bytes == packet);
  if (offload.segmentation == 0 || segments.empty()) return 0;
  std::size_t sum = 0;
  for (const auto& segment : segments) {
    require(segment.offload.segmentation == 0 && segment.bytes.size() <= packet.size());
    sum += segment.bytes.size();
  }
  // All but the last carry segment_size bytes behind the same headers.
  if (segments.size() == 1) return 0;
  const std::size_t header = segments[0].bytes.size() - offload.segment_size;
  require(sum == packet.size() + (segments.size() - 1) * header);
  return 0;
}
