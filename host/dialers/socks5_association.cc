// A UDP association (RFC 1928 7).
//
// Each datagram carries a header with the far address; the association lives as long as the TCP connection
// that asked for it. So every read waits for both: a datagram on the relay, or the end of the control
// connection, which ends the association (ECONNRESET from then on). A write alone does not look; the guest's
// datagrams into a dead association are lost until the next read tells.
//
// A relay passes on whatever reaches its port. Datagrams from elsewhere than the target are dropped, as a
// connected socket would; when the target is a name only the proxy knows its address, and all pass.

#include "host/dialers/socks5_association.h"

#include <algorithm>
#include <array>

namespace nsrun {
namespace {

constexpr std::size_t max_relayed_datagram = 65535;  // bytes

Error association_ended() { return {"the SOCKS5 proxy ended the association", errno_code(ECONNRESET)}; }

}  // namespace

Socks5Association::Socks5Association(std::unique_ptr<Connection> control, std::unique_ptr<Connection> relay,
                                     socks5::Address target, std::string header)
    : control_(std::move(control)),
      relay_(std::move(relay)),
      target_(std::move(target)),
      header_(std::move(header)) {}

Task<Result<Chunk>> Socks5Association::read(MutableBytes into) {
  incoming_.resize(max_relayed_datagram);
  while (!ended_) {
    received_.reset();
    co_await either(receive(), control_end());
    if (!received_) break;
    if (!*received_ || (*received_)->end) co_return *received_;
    const auto datagram = socks5::parse_datagram(Bytes(incoming_).first((*received_)->size));
    if (!datagram || !is_from_target(datagram->from)) continue;
    const auto size = std::min(into.size(), datagram->payload.size());
    std::copy_n(datagram->payload.begin(), size, into.begin());
    co_return Chunk{size, false};
  }
  ended_ = true;
  co_return association_ended();
}

Task<Result<void>> Socks5Association::write(Bytes bytes) {
  if (ended_) co_return association_ended();
  const auto header = as_bytes(header_);
  outgoing_.assign(header.begin(), header.end());
  outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
  auto sent = co_await relay_->write(outgoing_);
  if (!sent && sent.error().code == errno_code(EMSGSIZE)) co_return Result<void>{};
  co_return sent;
}

void Socks5Association::reset() {
  ended_ = true;
  control_->reset();
  relay_->reset();
}

Task<> Socks5Association::receive() { received_ = co_await relay_->read(incoming_); }

// Whatever a proxy says on the control connection after its reply means nothing.
Task<> Socks5Association::control_end() {
  std::array<std::byte, 256> ignored;
  while (true) {
    const auto chunk = co_await control_->read(ignored);
    if (!chunk || chunk->end) co_return;
  }
}

bool Socks5Association::is_from_target(const socks5::Address& from) const {
  if (!target_.name.empty() || !from.name.empty()) return true;
  // Some proxies leave the address out.
  return from.endpoint == target_.endpoint || from.endpoint.address.is_unspecified();
}

}  // namespace nsrun
