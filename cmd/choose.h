#pragma once

#include <array>
#include <string>
#include <utility>

#include "netstack/idle_spin.h"
#include "runtime/result.h"

// Options whose value is one of a few words.

namespace nsrun {

// The value that goes by this name; `choices` are three, the usual one first.
template <class Value>
Result<void> choose(Value& into, const char* option, const std::string& text,
                    const std::array<std::pair<const char*, Value>, 3>& choices) {
  for (const auto& [name, value] : choices)
    if (text == name) return into = value, Result<void>{};
  return Error{std::string(option) + " '" + text + "' is unknown",
               {},
               std::string("it is ") + choices[0].first + ", " + choices[1].first + " or " + choices[2].first,
               ExitCode::usage};
}

inline Result<void> choose_latency(Latency& latency, const std::string& text) {
  return choose<Latency>(latency, "--latency", text,
                         {{{"auto", Latency::automatic}, {"low", Latency::low}, {"cpu", Latency::cpu}}});
}

}  // namespace nsrun
