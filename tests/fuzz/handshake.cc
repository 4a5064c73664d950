// What a guest that is root in its namespaces can say to the host in the agent's place.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/handshake.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  const auto message = nsrun::decode(record);
  // What is accepted has one form only.
  if (message && nsrun::encode(*message) != record) std::abort();
  return 0;
}
