#include "host/log/summary.h"

#include <algorithm>
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

struct SummedFlows {
  Events events;
  LiveFlows live;
  Summary summary;

  void add(const char* target, const char* name, bool allowed, FlowEnd end, std::uint64_t up = 0) {
    FlowRecord record(1, {Protocol::tcp, *Endpoint::parse("10.0.2.100:40000"), *Endpoint::parse(target)},
                      events, live);
    record.name = name;
    record.allowed = allowed;
    record.rejected = !allowed;
    record.moved_up(up);
    record.ended(end);
    summary.add(record);
  }
};

}  // namespace

TEST_CASE("a summary has a line for each name and verdict, what was refused first") {
  SummedFlows flows;
  flows.add("192.0.2.1:443", "www.example", true, FlowEnd::closed, 1536);
  flows.add("192.0.2.2:443", "www.example", true, FlowEnd::closed, 512);
  flows.add("192.0.2.3:80", "", false, FlowEnd::refused);
  flows.add("192.0.2.1:443", "www.example", true, FlowEnd::policy);
  flows.add("192.0.2.4:80", "", true, FlowEnd::failed);
  CHECK(flows.summary.text() ==
        "5 flows, 2 refused\n"
        "verdict   flows       up     down  to\n"
        "cut           1        0        0  tcp/www.example:443\n"
        "reject        1        0        0  tcp/192.0.2.3:80\n"
        "failed        1        0        0  tcp/192.0.2.4:80\n"
        "allow         2     2.0K        0  tcp/www.example:443\n");
}

TEST_CASE("a summary stays within its limit, and sums up the rest") {
  SummedFlows flows;
  for (int i = 0; i < 2 * static_cast<int>(Summary::max_lines); ++i)
    flows.add("192.0.2.1:443", ("host" + std::to_string(i)).c_str(), true, FlowEnd::closed);
  const auto text = flows.summary.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 2 + static_cast<long>(Summary::max_lines) + 1);
  CHECK(text.find("others") != text.npos);
}

TEST_CASE("bytes are told in short") {
  CHECK(in_short(0) == "0");
  CHECK(in_short(1023) == "1023");
  CHECK(in_short(1536) == "1.5K");
  CHECK(in_short((1ull << 20) - 1) == "1.0M");
  CHECK(in_short(5ull << 40) == "5.0T");
}
