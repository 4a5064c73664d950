#include <algorithm>
#include <random>

#include "host/policy/rule_index.h"
#include "tests/support/catch.h"

using namespace nsrun;

// The index beside the definition: a walk over the list, one match after the other.

namespace {

using Position = RuleIndex::Position;

bool is_below(std::string_view name, std::string_view parent) {
  return name.size() > parent.size() + 1 && name.ends_with(parent) &&
         name[name.size() - parent.size() - 1] == '.';
}

bool fits(const Match& match, const Subject& subject) {
  if (match.is_of_queries() != subject.is_query) return false;
  if (match.protocol && *match.protocol != subject.protocol) return false;
  if (!match.ports.contains(subject.port)) return false;
  switch (match.host) {
    case Match::Host::any:
      return true;
    case Match::Host::name:
      return subject.name == match.name;
    case Match::Host::below:
      return is_below(subject.name, match.name);
    case Match::Host::network:
      return subject.address && match.network.contains(*subject.address);
  }
  return false;
}

bool is_about(const Match& match, std::string_view name) {
  return match.host == Match::Host::any || (match.host == Match::Host::name && match.name == name) ||
         (match.host == Match::Host::below && is_below(name, match.name));
}

template <class Fits>
std::optional<Position> first_of(const std::vector<Match>& matches, Fits fits) {
  const auto found = std::find_if(matches.begin(), matches.end(), fits);
  if (found == matches.end()) return std::nullopt;
  return static_cast<Position>(found - matches.begin());
}

// Few labels, addresses and ports, so that rules and subjects meet often.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  std::string name() {
    static const std::vector<std::string> labels = {"a", "b", "aa", "a-b"};
    std::string name = labels[below(labels.size())];
    for (auto more = below(4); more > 0; --more) name += "." + labels[below(labels.size())];
    return name;
  }
  IpAddress address() {
    static const std::vector<std::string> addresses = {"10.0.0.1",    "10.0.0.2", "10.0.1.1", "10.128.0.1",
                                                       "192.168.0.1", "fd00::1",  "fd00::2",  "fd00:0:0:1::1",
                                                       "2001:db8::1", "::a00:1"};
    return *IpAddress::parse(addresses[below(addresses.size())]);
  }
  Protocol protocol() { return std::array{Protocol::tcp, Protocol::udp, Protocol::icmp}[below(3)]; }
  std::uint16_t port() { return std::array<std::uint16_t, 5>{0, 1, 53, 443, 65535}[below(5)]; }

  Match match() {
    Match match;
    if (one_in(2)) match.protocol = protocol();
    if (one_in(6)) match.content = Match::Content::dns;
    if (one_in(2)) {
      const auto [first, last] = std::minmax({port(), port()});
      match.ports = {first, last};
    }
    match.host = std::array{Match::Host::any, Match::Host::name, Match::Host::below,
                            Match::Host::network}[one_in(8) ? 0 : 1 + below(3)];
    if (match.is_by_name()) match.name = name();
    if (match.host == Match::Host::network) {
      const auto address = this->address();
      const auto length = one_in(3) ? address.size() * 8 : below(address.size() * 8 + 1);
      match.network = Cidr::parse(address.to_string() + "/" + std::to_string(length)).value();
    }
    return match;
  }
  Subject subject(const std::string& name) {
    Subject subject{.protocol = protocol(), .port = port(), .is_query = one_in(6)};
    if (!one_in(3)) subject.name = name;
    if (!one_in(3)) subject.address = address();
    return subject;
  }

 private:
  std::minstd_rand random_;
};

}  // namespace

TEST_CASE("the index finds what a walk over the rules finds, for a hundred thousand random lists") {
  std::size_t found = 0, by_network = 0, by_name = 0;
  for (unsigned seed = 0; seed < 100'000; ++seed) {
    Maker maker(seed);
    std::vector<Match> matches(maker.below(12));
    RuleIndex index;
    for (Position position = 0; position < matches.size(); ++position) {
      matches[position] = maker.match();
      index.add(position, matches[position]);
    }
    for (int asked = 0; asked < 4; ++asked) {
      const auto name = maker.name();
      const auto subject = maker.subject(name);
      const auto first = first_of(matches, [&](const Match& m) { return fits(m, subject); });
      const auto network = first_of(
          matches, [&](const Match& m) { return m.host == Match::Host::network && fits(m, subject); });
      std::vector<Position> about;
      for (Position position = 0; position < matches.size(); ++position)
        if (is_about(matches[position], name)) about.push_back(position);
      const bool same = index.first(subject) == first && index.first_network(subject) == network &&
                        index.about(name) == about;
      if (!same) {
        std::string list;
        for (const auto& match : matches) list += match.to_string() + "; ";
        FAIL("seed " << seed << ": " << list << " asked: name '" << subject.name << "' address "
                     << (subject.address ? subject.address->to_string() : "none") << " port " << subject.port
                     << " query " << subject.is_query);
      }
      found += first.has_value();
      by_network += network.has_value();
      by_name += first && matches[*first].is_by_name();
    }
  }
  // Each way was taken often enough to say something.
  CHECK(found > 50'000);
  CHECK(by_network > 20'000);
  CHECK(by_name > 5'000);
}
