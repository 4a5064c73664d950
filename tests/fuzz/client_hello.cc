// What a guest can begin a TLS connection with, in whatever pieces, and what a server can answer: the first
// byte of the input says where the answer begins, the second how the rest is cut. A hello is found whole at
// the same place however it is cut, and all that goes on is what came in.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "host/carry/tls_opening.h"

namespace {

void require(bool fact) {
  if (!fact) std::abort();
}

void check_hello(nsrun::Bytes bytes) {
  const auto size = nsrun::hello_size(bytes);
  if (!size || *size == 0) return;
  require(*size <= bytes.size() && nsrun::hello_size(bytes.first(*size)).value() == *size);
  const auto before = nsrun::hello_size(bytes.first(*size - 1));
  require(before && *before == 0);
  (void)nsrun::parse_client_hello(bytes.first(*size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
  check_hello(bytes);
  (void)nsrun::asks_for_hello_again(bytes);
  require(nsrun::bytes_before_second_hello(bytes) <= bytes.size());

  const std::size_t answer_at = bytes.size() * data[0] / 256, step = data[1] + 1;
  nsrun::TlsOpening opening({.name = "good.example"});
  std::size_t gone_on = 0;
  for (std::size_t at = 0; at < answer_at; at += step) {
    if (!opening.from_guest(bytes.subspan(at, std::min(step, answer_at - at)))) return 0;
    const auto taken = opening.take();
    require(gone_on + taken.size() <= answer_at);
    require(std::equal(taken.begin(), taken.end(), bytes.begin() + static_cast<std::ptrdiff_t>(gone_on)));
    gone_on += taken.size();
  }
  if (!opening.from_far(bytes.subspan(answer_at)) || !opening.guest_ended() || !opening.far_ended()) return 0;
  require(opening.agreed() && gone_on + opening.take().size() == answer_at);
  return 0;
}
