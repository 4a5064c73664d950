#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/task.h"

namespace nsrun {

namespace detail {
// Attempts until one returns true.
Task<> race(std::vector<Clock::duration> delays, const std::function<Task<bool>(std::size_t)>& start);
}  // namespace detail

// Races several ways to one goal: attempt i starts delays[i] after attempt i - 1, or as soon as an earlier
// one has failed (the idea of RFC 8305 5). The value of the first attempt that succeeds; nothing when all
// failed. An attempt that throws has failed. The others are cancelled, and have ended when this returns or
// throws.
template <class T>
Task<std::optional<T>> race_staggered(std::vector<Clock::duration> delays,
                                      std::function<Task<std::optional<T>>(std::size_t)> attempt);

// ---- implementation of the template

namespace detail {
// Two attempts may succeed before the race notices: the first value stays.
template <class T>
Task<bool> keep_first(std::optional<T>& first, Task<std::optional<T>> attempt) {
  auto value = co_await std::move(attempt);
  if (value && !first) first = std::move(value);
  co_return first.has_value();
}
}  // namespace detail

template <class T>
Task<std::optional<T>> race_staggered(std::vector<Clock::duration> delays,
                                      std::function<Task<std::optional<T>>(std::size_t)> attempt) {
  std::optional<T> first;
  const std::function<Task<bool>(std::size_t)> start = [&](std::size_t i) {
    return detail::keep_first(first, attempt(i));
  };
  co_await detail::race(std::move(delays), start);
  co_return std::move(first);
}

}  // namespace nsrun
