#pragma once

#include <memory>
#include <string_view>

namespace nsrun {

class Faults;  // host/faults

// What the guest may be told of names. For any thread; an answer holds for the query at hand.
class NamePolicy {
 public:
  virtual ~NamePolicy() = default;
  // Whether the guest may ask about a name (canonical), whatever the type. A name that it may not ask about
  // does not exist for it, and is told to nobody outside.
  virtual bool permits_name(std::string_view name) const = 0;
  // Whether a question about a permitted name may leave this machine; not while somebody is yet to be asked
  // whether the name is to be reached at all.
  virtual bool tells_outside(std::string_view name) const {
    (void)name;
    return true;
  }
  // Whether it is told synthetic addresses, so that a flow's destination is its name.
  virtual bool gives_synthetic() const = 0;
  // What goes wrong with queries for a name (canonical). Null: nothing.
  virtual std::shared_ptr<Faults> faults_of(std::string_view name) const {
    (void)name;
    return nullptr;
  }
};

}  // namespace nsrun
