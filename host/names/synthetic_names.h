#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/text/lru_map.h"
#include "runtime/address.h"
#include "runtime/memory_budget.h"
#include "runtime/shared_text.h"

namespace nsrun {

// Addresses that stand for names: under name rules the guest is told these, so that a flow's destination is
// its name. All lookups are O(1). Names are canonical (canonical_name.h). For any thread.
class SyntheticNames {
 public:
  static constexpr std::size_t max_names = 65536;
  static constexpr std::size_t name_cost = 1024;  // bytes: three copies of the longest name, and the index

  // Whether an address is one of those handed out here, now or ever. 198.18.0.0/15 (RFC 2544: never in use
  // on the internet) and fd6e:7372:756e::/64 (RFC 4193: a range of one's own).
  static bool covers(const IpAddress& address);

  // `capacity`: names remembered at once, at most max_names. `memory` is charged for them, and outlives this;
  // names take an eighth of its limit at most. Null: nothing is charged.
  explicit SyntheticNames(std::size_t capacity = max_names, MemoryBudget* memory = nullptr);
  ~SyntheticNames();

  // The name's address, the same for as long as the name is remembered.
  IpAddress v4_for(const std::string& name);
  IpAddress v6_for(const std::string& name);

  // The name an address stands for; nothing for one never handed out. Counts as a use of the name: a flow
  // that asks keeps its address from being given to another name.
  std::optional<SharedText> name_of(const IpAddress& address);

 private:
  using Slot = std::uint32_t;  // a name's place; its addresses follow from it
  Slot slot_for(const std::string& name);
  bool may_grow();

  MemoryBudget* const memory_;
  const std::size_t capacity_;
  std::mutex lock_;  // of all below
  LruMap<std::string, Slot> slots_;
  struct Name {
    LruMap<std::string, Slot>::Place place;
    SharedText text;
  };
  std::vector<Name> names_;  // by slot
};

}  // namespace nsrun
