#include "host/names/dns_framing.h"

#include <array>

namespace nsrun {
namespace {

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
  DnsBytes message(max_datagram);
  const auto chunk = co_await from.read(message);
  if (!chunk) co_return chunk.error();
  if (chunk->end) co_return std::nullopt;
  message.resize(chunk->size);
  co_return std::optional(std::move(message));
}

Task<Result<std::optional<DnsBytes>>> read_framed(Connection& from) {
  std::array<std::byte, 2> length{};
  const auto started = co_await read_full(from, length);
  if (!started) co_return started.error();
  if (!*started) co_return std::nullopt;

  DnsBytes message(std::to_integer<std::size_t>(length[0]) << 8 | std::to_integer<std::size_t>(length[1]));
  const auto whole = co_await read_full(from, message);
  if (!whole) co_return whole.error();
  if (!*whole) co_return std::nullopt;
  co_return std::optional(std::move(message));
}

}  // namespace

Task<Result<std::optional<DnsBytes>>> read_dns_message(Connection& from, std::size_t max_datagram) {
  return from.transport() == Transport::datagram ? read_datagram(from, max_datagram) : read_framed(from);
}

Task<Result<void>> write_dns_message(Connection& to, Bytes message) {
  if (to.transport() == Transport::datagram) co_return co_await to.write(message);
  DnsBytes framed{static_cast<std::byte>(message.size() >> 8), static_cast<std::byte>(message.size())};
  framed.insert(framed.end(), message.begin(), message.end());
  co_return co_await to.write(framed);
}

}  // namespace nsrun
