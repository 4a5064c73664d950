#include "host/faults/faults.h"

#include <boost/asio/post.hpp>

namespace nsrun {

Faults::Faults(FaultSpec spec, std::string rule, std::uint64_t seed) : rule_(std::move(rule)), seed_(seed) {
  if (spec.packets.any()) packets_ = std::make_shared<PacketFaults>(spec.packets, seed);
  spec_.store(std::make_shared<const FaultSpec>(std::move(spec)));
}

void Faults::replace(FaultSpec spec) {
  if (packets_) packets_->replace(spec.packets);
  spec_.store(std::make_shared<const FaultSpec>(std::move(spec)));
  const std::lock_guard hold(lock_);
  for (const Watch* watch : watches_)
    asio::post(watch->executor_, [weak = std::weak_ptr(watch->changed_)] {
      if (const auto changed = weak.lock()) (*changed)();
    });
}

Faults::Watch::Watch(Faults& faults, Executor executor, std::function<void()> changed)
    : faults_(faults),
      executor_(executor),
      changed_(std::make_shared<std::function<void()>>(std::move(changed))) {
  const std::lock_guard hold(faults_.lock_);
  faults_.watches_.insert(this);
}

Faults::Watch::~Watch() {
  const std::lock_guard hold(faults_.lock_);
  faults_.watches_.erase(this);
}

}  // namespace nsrun
