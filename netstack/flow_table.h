#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <memory>
#include <vector>

#include "netstack/conversation.h"

namespace nsrun {

// The conversations of a stack, each found by its key, which stands in the conversation alone: a flow costs
// the table some 18 bytes.
class FlowTable {
 public:
  FlowTable() = default;
  FlowTable(const FlowTable&) = delete;
  ~FlowTable() { take_all(); }

  std::size_t size() const { return flows_.size(); }
  Conversation* find(const FlowKey& key) const {
    const auto found = flows_.find(key);
    return found == flows_.end() ? nullptr : *found;
  }
  // One of the same key goes.
  void insert(std::unique_ptr<Conversation> conversation) {
    if (const auto [same, is_new] = flows_.insert(conversation.get()); !is_new) {
      take(**same);
      flows_.insert(conversation.get());
    }
    conversation.release();
  }
  // Null: it is not here, whatever else is under its key.
  std::unique_ptr<Conversation> take(Conversation& conversation) {
    if (find(conversation.key) != &conversation) return nullptr;
    flows_.erase(&conversation);
    return std::unique_ptr<Conversation>(&conversation);
  }
  std::vector<std::unique_ptr<Conversation>> take_all() {
    std::vector<std::unique_ptr<Conversation>> all(flows_.begin(), flows_.end());
    flows_.clear();
    return all;
  }
  auto begin() const { return flows_.begin(); }
  auto end() const { return flows_.end(); }

 private:
  static const FlowKey& key_of(const FlowKey& key) { return key; }
  static const FlowKey& key_of(const Conversation* conversation) { return conversation->key; }
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const auto& flow) const { return std::hash<FlowKey>()(key_of(flow)); }
  };
  struct Same {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return key_of(a) == key_of(b); }
  };
  boost::unordered_flat_set<Conversation*, Hash, Same> flows_;  // owned
};

}  // namespace nsrun
