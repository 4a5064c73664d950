#include "host/names/dns_framing.h"

#include <algorithm>
#include <array>

#include "runtime/datagram_source.h"

namespace nsrun {
namespace {

constexpr std::size_t first_step = 512;  // bytes: a query is seldom longer; then as much again each time

// False when the connection ended before `into` was full.
Task<Result<bool>> read_full(Connection& from, MutableBytes into) {
  while (!into.empty()) {
    const auto chunk = co_await from.read(into);
    if (!chunk) co_return chunk.error();
    if (chunk->end) co_return false;
    into = into.subspan(chunk->size);
  }
  co_return true;
}

Task<Result<std::optional<DnsBytes>>> read_datagram(Connection& from, std::size_t max_datagram) {
  // Room is set aside once there is something to read, where the source can tell that.
  if (auto* const source = dynamic_cast<DatagramSource*>(&from)) co_await source->datagram_ready();
  DnsBytes message(max_datagram);
  const auto chunk = co_await from.read(message);
  if (!chunk) co_return chunk.error();
  if (chunk->end) co_return std::nullopt;
  message.resize(chunk->size);
  co_return std::optional(std::move(message));
}

Task<Result<std::optional<DnsBytes>>> read_framed(Connection& from, MemoryCharge* memory) {
  std::array<std::byte, 2> length{};
  const auto started = co_await read_full(from, length);
  if (!started) co_return started.error();
  if (!*started) co_return std::nullopt;

  const std::size_t size =
      std::to_integer<std::size_t>(length[0]) << 8 | std::to_integer<std::size_t>(length[1]);
  // Room as the message comes, not as it claims: two bytes of a guest's are not worth 64 KiB.
  DnsBytes message;
  while (message.size() < size) {
    const std::size_t begin = message.size(), step = std::min(size - begin, std::max(begin, first_step));
    if (memory && !memory->add(step, MemoryUse::ahead))
      co_return Error{"there is no memory for a DNS message", errno_code(ENOBUFS)};
    message.reserve(begin + step);
    message.resize(begin + step);
    const auto whole = co_await read_full(from, MutableBytes(message).subspan(begin));
    if (!whole) co_return whole.error();
    if (!*whole) co_return std::nullopt;
  }
  co_return std::optional(std::move(message));
}

}  // namespace

Task<Result<std::optional<DnsBytes>>> read_dns_message(Connection& from, std::size_t max_datagram,
                                                       MemoryCharge* memory) {
  return from.transport() == Transport::datagram ? read_datagram(from, max_datagram)
                                                 : read_framed(from, memory);
}

Task<Result<void>> write_dns_message(Connection& to, Bytes message) {
  if (to.transport() == Transport::datagram) co_return co_await to.write(message);
  DnsBytes framed{static_cast<std::byte>(message.size() >> 8), static_cast<std::byte>(message.size())};
  framed.insert(framed.end(), message.begin(), message.end());
  co_return co_await to.write(framed);
}

}  // namespace nsrun
