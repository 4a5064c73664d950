// An endpoint is whatever a user wrote: it is understood or refused as misuse, and its own words mean the
// same place again.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "host/forward/forward.h"

namespace {

using namespace nsrun;

bool is_same_place(const EndpointUrl& one, const EndpointUrl& other) {
  return one.kind == other.kind && one.host == other.host && one.port == other.port && one.cid == other.cid;
}

void check_endpoint(std::string_view text) {
  const auto url = EndpointUrl::parse(text);
  if (!url) {
    if (url.error().exit != ExitCode::usage || url.error().message().empty()) std::abort();
    return;
  }
  (void)url->target().to_string();
  const bool is_path = !url->path.empty() && url->kind != EndpointUrl::Kind::tcp;
  if (is_path) return;  // shown decoded, as files are called
  const auto again = EndpointUrl::parse(url->to_string());
  if (!again || !is_same_place(*url, *again)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_endpoint(text);
  const auto forward = Forward::parse(text);
  if (forward && forward->listen.transport() != forward->dial.transport()) std::abort();
  if (!forward && forward.error().exit != ExitCode::usage) std::abort();
  return 0;
}
