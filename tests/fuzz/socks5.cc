// What a SOCKS5 proxy can send us: its answers, and its relay's datagrams.

#include <cstdint>
#include <cstdlib>

#include "host/dialers/socks5.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const auto bytes = std::as_bytes(std::span(data, size));
  (void)socks5::parse_method(bytes);
  (void)socks5::parse_password_answer(bytes);
  if (const auto length = socks5::reply_length(bytes)) {
    if (*length > socks5::max_datagram_header || *length <= socks5::reply_start_length) std::abort();
    if (size >= *length && !socks5::parse_reply(bytes.first(*length))) std::abort();
  }
  if (const auto datagram = socks5::parse_datagram(bytes)) {
    // The payload is the input's tail, and the header says so when it is written again.
    if (datagram->payload.size() > size) std::abort();
    if (!socks5::datagram_header(datagram->from)) std::abort();
  }
  return 0;
}
