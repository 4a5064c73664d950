// What a guest can send where a rule says http: no more goes on than came, the same in one piece as in two,
// and nothing of a request for another host.

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "host/carry/http_requests.h"

namespace {

void require(bool fact) {
  if (!fact) std::abort();
}

// What goes on of a text that comes in two pieces; nothing: it does not agree.
std::optional<std::string> passed(nsrun::Bytes bytes, std::size_t cut) {
  nsrun::HttpRequests requests("good.example", 80);
  std::size_t open = 0;
  for (const std::size_t end : {cut, bytes.size()}) {
    const auto agreed = requests.agreed(bytes.subspan(open, end - open));
    if (!agreed) return std::nullopt;
    require(*agreed <= end - open);
    open += *agreed;
  }
  return std::string(nsrun::as_text(bytes.first(open)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto whole = passed(bytes, bytes.size()), cut = passed(bytes, bytes.size() * data[0] / 256);
  require(whole == cut);
  return 0;
}
