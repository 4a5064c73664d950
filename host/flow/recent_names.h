#pragma once

#include <mutex>
#include <string>

#include "host/text/lru_map.h"
#include "runtime/address.h"
#include "runtime/shared_text.h"

namespace nsrun {

// Which name the guest lately asked for when it was told an address: for the log's `name` field. A hint and
// never policy: one address serves many names (shared CDNs), the last name asked for wins, and a guest can
// ask for whatever it likes before it connects.
//
// For any thread.
class RecentNames {
 public:
  static constexpr std::size_t capacity = 4096;  // addresses; then the least recently used is forgotten

  void remember(const IpAddress& address, const std::string& name);
  SharedText name_of(const IpAddress& address);  // empty: unknown

 private:
  std::mutex lock_;
  LruMap<IpAddress, SharedText> names_;
};

}  // namespace nsrun
