#include "host/flow/recent_names.h"

namespace nsrun {

void RecentNames::remember(const IpAddress& address, const std::string& name) {
  const std::lock_guard hold(lock_);
  names_.insert(address, name);
  if (names_.size() > capacity) names_.evict();
}

SharedText RecentNames::name_of(const IpAddress& address) {
  const std::lock_guard hold(lock_);
  const SharedText* name = names_.find(address);
  return name ? *name : SharedText{};
}

}  // namespace nsrun
