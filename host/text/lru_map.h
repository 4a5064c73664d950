#pragma once

#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

namespace nsrun {

// A map that knows which of its entries has gone unused the longest. All operations are O(1).
template <class Key, class Value>
class LruMap {
  using Order = std::list<std::pair<Key, Value>>;  // most recently used first

 public:
  using Place = typename Order::iterator;  // of an entry, for as long as it is there

  LruMap() = default;
  LruMap(const LruMap&) = delete;  // the index points into the list

  // The value, now the most recently used; null when there is none. Valid until it is evicted.
  Value* find(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  // As find() does.
  void use(Place place) { order_.splice(order_.begin(), order_, place); }

  // Adds or replaces.
  Place insert(Key key, Value value) {
    if (Value* present = find(key)) {
      *present = std::move(value);
      return order_.begin();
    }
    order_.emplace_front(std::move(key), std::move(value));
    index_.emplace(order_.front().first, order_.begin());
    return order_.begin();
  }

  // Takes out the least recently used entry.
  std::optional<std::pair<Key, Value>> evict() {
    if (order_.empty()) return std::nullopt;
    std::pair<Key, Value> oldest = std::move(order_.back());
    index_.erase(oldest.first);
    order_.pop_back();
    return oldest;
  }

  std::size_t size() const { return order_.size(); }

 private:
  Order order_;
  std::unordered_map<Key, typename Order::iterator> index_;
};

}  // namespace nsrun
