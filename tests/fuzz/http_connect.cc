// What an HTTP proxy can answer: the head's end is found without passing it, and the head is understood.

#include <cstdint>
#include <cstdlib>

#include "host/dialers/http_connect.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  std::size_t taken = 0;
  while (const auto step = http_connect::bytes_to_read(stream.substr(0, taken))) {
    // An end that was jumped over would be in front of the last byte taken.
    if (taken + step > size) break;
    for (auto inside = taken + 1; inside < taken + step; ++inside)
      if (http_connect::bytes_to_read(stream.substr(0, inside)) == 0) std::abort();
    taken += step;
  }
  if (const auto response = http_connect::parse_head(stream.substr(0, taken))) {
    if (response->status < 100 || response->status > 599) std::abort();
    (void)http_connect::refusal(*response).message();
  }
  return 0;
}
