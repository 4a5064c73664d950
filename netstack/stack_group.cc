#include "netstack/stack_group.h"

#include <sys/eventfd.h>

#include "runtime/result.h"

namespace nsrun {

StrayQueue::StrayQueue(MemoryBudget& memory)
    : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), memory_(memory) {
  if (!event_) throw ErrorException(errno_error("cannot make an event descriptor"));
}

void StrayQueue::push(Stray stray) {
  const std::lock_guard hold(lock_);
  if (stray.taken_over)
    memory_.take_always(cost_of(stray));  // an order, which may not be lost
  else if (strays_.size() >= most || !memory_.take(cost_of(stray), MemoryUse::ahead))
    return;
  strays_.push_back(std::move(stray));
  const std::uint64_t one = 1;
  (void)!::write(event_.get(), &one, sizeof one);
}

std::vector<StrayQueue::Stray> StrayQueue::take() {
  const std::lock_guard hold(lock_);
  std::uint64_t count;
  (void)!::read(event_.get(), &count, sizeof count);
  for (const Stray& stray : strays_) memory_.give_back(cost_of(stray));  // they are passed on at once
  return std::exchange(strays_, {});
}

void StackGroup::claim(const FlowKey& key, StrayQueue& home) {
  const auto hash = std::hash<FlowKey>()(key);
  Shard& shard = shard_of(hash);
  const std::lock_guard hold(shard.lock);
  shard.homes.try_emplace(hash, &home);
}

void StackGroup::release(const FlowKey& key, const StrayQueue& home) {
  const auto hash = std::hash<FlowKey>()(key);
  Shard& shard = shard_of(hash);
  const std::lock_guard hold(shard.lock);
  const auto found = shard.homes.find(hash);
  if (found != shard.homes.end() && found->second == &home) shard.homes.erase(found);
}

bool StackGroup::pass_on(const FlowKey& key, const StrayQueue& from, const Packet& packet,
                         const Offload& offload) {
  const auto hash = std::hash<FlowKey>()(key);
  Shard& shard = shard_of(hash);
  // Held while the packet is pushed: a stack that goes releases its flows first.
  const std::lock_guard hold(shard.lock);
  const auto found = shard.homes.find(hash);
  if (found == shard.homes.end() || found->second == &from) return false;
  found->second->push({{packet.bytes.begin(), packet.bytes.end()}, offload});
  return true;
}

bool StackGroup::take_over(const FlowKey& key, StrayQueue& home) {
  const auto hash = std::hash<FlowKey>()(key);
  Shard& shard = shard_of(hash);
  const std::lock_guard hold(shard.lock);
  const auto found = shard.homes.find(hash);
  if (found == shard.homes.end()) return false;
  StrayQueue* before = std::exchange(found->second, &home);
  if (before != &home) before->push({{}, {}, key});
  return true;
}

bool StackGroup::is_elsewhere(const FlowKey& key, const StrayQueue& here) {
  const auto hash = std::hash<FlowKey>()(key);
  Shard& shard = shard_of(hash);
  const std::lock_guard hold(shard.lock);
  const auto found = shard.homes.find(hash);
  return found != shard.homes.end() && found->second != &here;
}

}  // namespace nsrun
