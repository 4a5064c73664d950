#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/policy/match.h"

namespace nsrun {

// What rules are matched on. A flow to a name is matched by name before it is resolved, and by address after.
struct Subject {
  Protocol protocol = Protocol::tcp;
  std::string_view name = {};  // canonical; empty: not known
  std::optional<IpAddress> address = {};
  std::uint16_t port = 0;  // 0: an echo
  bool is_query = false;   // no flow: a question about the name
};

// Finds the first of many matches that fits a subject: O(labels of the name), or O(lengths of networks in
// use), whatever their number.
class RuleIndex {
 public:
  using Position = std::uint32_t;  // in the list of rules

  // In order of position.
  void add(Position position, const Match& match);

  std::optional<Position> first(const Subject& subject) const;
  // By address alone: matches on any host or on names do not count.
  std::optional<Position> first_network(const Subject& subject) const;
  // Those that a flow to this name could match by it, whatever its protocol and port; in order.
  std::vector<Position> about(std::string_view name) const;
  bool is_by_name() const { return !names_.empty() || !below_.empty(); }

 private:
  struct Entry {
    Position position;
    std::optional<Protocol> protocol;
    PortRange ports;
    bool of_queries;
    bool fits(const Subject& subject) const {
      return of_queries == subject.is_query && (!protocol || *protocol == subject.protocol) &&
             ports.contains(subject.port);
    }
  };
  using Entries = std::vector<Entry>;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  // Of a hundred thousand names few are in the processor's cache: one that is not here costs one look at
  // memory.
  using ByName = boost::unordered_flat_map<std::string, Entries, Hash, std::equal_to<>>;
  struct Networks {  // of one family and length
    bool v4;
    std::uint8_t length;
    std::unordered_map<IpAddress, Entries> by_address;
  };

  template <class Visit>
  void visit_names(std::string_view name, Visit visit) const;

  Entries any_;
  ByName names_, below_;
  std::vector<Networks> networks_;
};

}  // namespace nsrun
