// What a lennut server can say first: the header and nothing else is one, and no more of it is asked for than
// is missing.

#include <cstdint>
#include <cstdlib>

#include "host/services/lennut/lennut_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view said(reinterpret_cast<const char*>(data), size);
  for (std::size_t taken = 0; taken <= size; ++taken) {
    const auto missing = lennut::missing(said.substr(0, taken));
    if (missing && taken + *missing != lennut::header.size()) std::abort();
    if (!missing && said.substr(0, taken) == lennut::header.substr(0, taken)) std::abort();
    if (missing && said.substr(0, taken) != lennut::header.substr(0, taken)) std::abort();
    if (!missing || *missing == 0) break;
  }
  return 0;
}
