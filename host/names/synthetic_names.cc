#include "host/names/synthetic_names.h"

#include <algorithm>

// Theory of operation
//
// Each name has a slot, and slot n is 198.18.1.0 + n and fd6e:7372:756e::1:0 + n: an address is turned into a
// slot by arithmetic, a slot into a name by indexing, a name into a slot by hashing. The offsets keep clear
// of a range's first addresses, which software likes to treat as network or router addresses.
//
// Slots are handed out in order until all are taken, or the memory for names is used up. From then on a new
// name takes the slot whose name has gone unused the longest, where handing the address out and a flow's
// arrival at it are both uses. The guest may still hold the address in a cache: the records' TTL is a minute,
// but programs keep addresses as they like. To wait, say, an hour before a slot is reused would mean to
// refuse names meanwhile; taking the least recently used does as well without refusing, since it reuses a
// slot younger than an hour only when all 65,536 are. A guest that asks for that many names an hour confuses
// nobody but itself: whichever name a stale address stands for by then, it is that name that policy judges
// and that is dialled.

namespace nsrun {
namespace {

constexpr std::uint32_t v4_base = 198u << 24 | 18u << 16 | 1u << 8;
constexpr std::array<std::uint8_t, 8> v6_prefix = {0xfd, 0x6e, 0x73, 0x72, 0x75, 0x6e, 0, 0};
constexpr std::uint32_t v6_base = 1u << 16;  // of the address's last 32 bits

void put(std::uint32_t value, std::uint8_t* into) {
  for (int i = 3; i >= 0; --i, value >>= 8) into[i] = static_cast<std::uint8_t>(value);
}

std::uint32_t get(const std::uint8_t* from) {
  return std::uint32_t{from[0]} << 24 | std::uint32_t{from[1]} << 16 | std::uint32_t{from[2]} << 8 | from[3];
}

bool in_v6_range(const IpAddress& address) {
  return std::equal(v6_prefix.begin(), v6_prefix.end(), address.mapped().begin());
}

// The slot an address would be; any number, which the caller checks, for an address that is none.
std::optional<std::uint32_t> slot_of(const IpAddress& address) {
  if (!SyntheticNames::covers(address)) return std::nullopt;
  if (address.is_v4()) return get(address.data()) - v4_base;
  if (get(address.data() + 8) != 0) return std::nullopt;
  return get(address.data() + 12) - v6_base;
}

}  // namespace

bool SyntheticNames::covers(const IpAddress& address) {
  if (address.is_v6()) return in_v6_range(address);
  return address.data()[0] == 198 && (address.data()[1] & 0xfe) == 18;
}

SyntheticNames::SyntheticNames(std::size_t capacity, MemoryBudget* memory)
    : memory_(memory),
      capacity_(std::clamp<std::size_t>(
          memory ? std::min(capacity, memory->limit() / 8 / name_cost) : capacity, 1, max_names)) {}

SyntheticNames::~SyntheticNames() {
  if (memory_) memory_->give_back(names_.size() * name_cost);
}

// There is always room for the first: later names take its place.
bool SyntheticNames::may_grow() {
  if (names_.size() >= capacity_) return false;
  if (!memory_ || memory_->take(name_cost, MemoryUse::ahead)) return true;
  if (!names_.empty()) return false;
  memory_->take_always(name_cost);
  return true;
}

SyntheticNames::Slot SyntheticNames::slot_for(const std::string& name) {
  const std::lock_guard hold(lock_);
  if (const Slot* slot = slots_.find(name)) return *slot;
  Slot slot = static_cast<Slot>(names_.size());
  if (may_grow())
    names_.emplace_back();
  else
    slot = slots_.evict()->second;
  names_[slot] = {slots_.insert(name, slot), name};
  return slot;
}

IpAddress SyntheticNames::v4_for(const std::string& name) {
  std::uint8_t bytes[4];
  put(v4_base + slot_for(name), bytes);
  return IpAddress::v4_from(bytes);
}

IpAddress SyntheticNames::v6_for(const std::string& name) {
  std::uint8_t bytes[16] = {};
  std::copy(v6_prefix.begin(), v6_prefix.end(), bytes);
  put(v6_base + slot_for(name), bytes + 12);
  return IpAddress::v6_from(bytes);
}

std::optional<SharedText> SyntheticNames::name_of(const IpAddress& address) {
  const auto slot = slot_of(address);
  const std::lock_guard hold(lock_);
  if (!slot || *slot >= names_.size()) return std::nullopt;
  slots_.use(names_[*slot].place);
  return names_[*slot].text;
}

}  // namespace nsrun
