// Catch2, version 2 or 3, with version 2's names.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
namespace Catch {
using Matchers::EndsWith;
using Matchers::StartsWith;
// Matchers::Contains is about elements of ranges in version 3.
inline auto Contains(const std::string& part, CaseSensitive cases = CaseSensitive::Yes) {
  return Matchers::ContainsSubstring(part, cases);
}
}  // namespace Catch
#else
#include <catch2/catch.hpp>
#endif
