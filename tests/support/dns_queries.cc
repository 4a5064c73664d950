#include "tests/support/dns_queries.h"

#include <algorithm>
#include <initializer_list>

namespace nsrun::test {
namespace {

void put_number(DnsBytes& message, std::initializer_list<unsigned> octets) {
  for (const unsigned octet : octets) message.push_back(static_cast<std::byte>(octet));
}

}  // namespace

DnsBytes dns_query(std::string_view name, DnsType type, std::uint16_t id) {
  DnsBytes query;
  put_number(query, {id / 256u, id % 256u, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0});
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    put_number(query, {static_cast<unsigned>(label.size())});
    for (const char c : label) put_number(query, {static_cast<unsigned char>(c)});
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  const auto number = static_cast<unsigned>(type);
  put_number(query, {0, number / 256, number % 256, 0, 1});
  return query;
}

DnsBytes with_edns(DnsBytes query, std::uint16_t udp_size) {
  query[11] = std::byte{1};
  put_number(query, {0, 0, 41, udp_size / 256u, udp_size % 256u, 0, 0, 0, 0, 0, 0});
  return query;
}

}  // namespace nsrun::test
