// One IP packet of the guest: every parser of its headers, and every answer made from it.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "netstack/packet.h"
#include "runtime/network.h"

namespace {

using namespace nsrun;

void require(bool fact) {
  if (!fact) std::abort();
}

// What the stack writes is a packet itself.
class Checking final : public Device {
 public:
  int fd() const override { return -1; }
  bool offloads() const override { return false; }
  ReadStatus read(Offload&, MutableBytes, std::size_t&) override { return ReadStatus::empty; }
  void write(const Offload&, std::span<const iovec> parts) override {
    std::vector<std::byte> packet;
    for (const auto& part : parts) {
      const auto* begin = static_cast<const std::byte*>(part.iov_base);
      packet.insert(packet.end(), begin, begin + part.iov_len);
    }
    const auto written = parse_packet(packet);
    require(written && written->bytes.size() == packet.size() && !written->is_fragment);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(data[i]);
  const auto packet = parse_packet(bytes);
  if (!packet) return 0;
  require(packet->header <= packet->bytes.size() && packet->bytes.size() <= size);
  require(packet->source.is_v4() == packet->target.is_v4());
  Checking device;
  const NetworkOptions network;
  const auto& hop = packet->is_v4() ? network.gateway4 : network.gateway6;
  for (const auto kind : {IcmpError::host_unreachable, IcmpError::prohibited, IcmpError::time_exceeded})
    write_icmp_error(device, kind, hop, *packet);
  const auto key = flow_key(*packet);
  if (!key || packet->is_fragment) return 0;
  if (key->protocol == Protocol::tcp) {
    write_tcp_reset(device, *packet);
    auto head = beginning_of(*packet, tcp_header_size(*packet));
    const auto again = parse_packet(head);
    require(again && flow_key(*again) == key && again->payload().size() == tcp_header_size(*packet));
  }
  if (key->protocol == Protocol::icmp)
    write_echo(device, packet->target, packet->source, key->source.port, packet->payload());
  return 0;
}
