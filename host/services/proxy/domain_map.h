#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

namespace nsrun {

// Which "host:port" of the world is reached at which port of 127.0.0.1, because somebody on a tunnel's other
// side offers it there. Whoever offered a place first keeps it until he goes: nobody takes another's clients
// away. Belongs to one loop.
class DomainMap {
 public:
  // Whose an entry is: the address of what it ends with.
  using Owner = const void*;

  // False: it is no "host:port" (a name, an IPv4 address or an IPv6 address in brackets; a port).
  bool add(Owner owner, std::string_view host_port, std::uint16_t port);
  void remove(Owner owner);                      // all of this owner's
  void remove(Owner owner, std::uint16_t port);  // what he offered at this port
  std::optional<std::uint16_t> find(std::string_view host_port) const;

 private:
  struct Entry {
    Owner owner;
    std::string place;  // in its one form
    std::uint16_t port;
  };
  std::list<Entry> entries_;  // oldest first; as many as tunnels have listeners
};

}  // namespace nsrun
