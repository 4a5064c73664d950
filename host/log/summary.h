#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "runtime/flow_record.h"

namespace nsrun {

// What a sandbox's flows came to, in a table for people: by verdict and by whom they were to reach, those
// that were refused first. Called by one thread at a time, as Events are.
class Summary {
 public:
  static constexpr std::size_t max_lines = 1000;  // of different peers; further ones are summed up

  void add(const FlowRecord& record);
  // "7 flows, 2 refused", and a line for each verdict and name; ends with a newline.
  std::string text() const;

 private:
  enum class Fate : std::uint8_t { refused, failed, passed };  // in the order of the table
  struct Key {
    Fate fate;
    std::string verdict, peer;
    auto operator<=>(const Key&) const = default;
  };
  struct Sum {
    std::uint64_t flows = 0, bytes_up = 0, bytes_down = 0;
  };

  std::map<Key, Sum> sums_;
};

// "0", "812", "1.5K", "3.2G": bytes, in powers of 1024.
std::string in_short(std::uint64_t bytes);

}  // namespace nsrun
