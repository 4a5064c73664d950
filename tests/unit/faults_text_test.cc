#include "tests/support/catch.h"

#include "host/policy/fault_rule.h"
#include "host/text/units.h"

namespace nsrun {
namespace {

FaultSpec faults(std::string_view text) { return parse_faults(text).value(); }

std::string text_refusal(std::string_view text) {
  const auto rule = parse_fault_rule(text);
  if (rule) return {};
  CHECK(rule.error().exit == ExitCode::usage);
  return rule.error().message();
}

bool fault_says(std::string_view text, std::string_view words) {
  const auto message = text_refusal(text);
  INFO(text << ": " << message);
  return message.find(words) != message.npos;
}

TEST_CASE("numbers are read with their units, and without them not at all") {
  CHECK(parse_time("200ms") == 200ms);
  CHECK(parse_time("1.5s") == 1500ms);
  CHECK(parse_time("100us") == 100us);
  CHECK(parse_time("2min") == 120s);
  CHECK(parse_size("10kB") == 10'000);
  CHECK(parse_size("1KiB") == 1024);
  CHECK(parse_rate("1.5mbit") == 1'500'000);
  CHECK(parse_rate("64Kbit") == 64'000);
  CHECK(parse_share("0.5%") == Approx(0.005));
  for (const char* text : {"", "5", "ms", "-1ms", "1 ms", "1e3ms", "nanms", "infs", "0x1s", "2d", "99999min"})
    CHECK_FALSE(parse_time(text));
  for (const char* text : {"10", "1.5", "99999999999GB", "10bit"}) CHECK_FALSE(parse_size(text));
  for (const char* text : {"10%x", "101%", "0.1", "-1%"}) CHECK_FALSE(parse_share(text));
}

TEST_CASE("latency without a way is a round trip's, other faults are of each way") {
  const auto both = faults("latency=200ms, jitter=50ms,bandwidth=1mbit,loss=1%");
  for (const auto& way : {both.up, both.down}) {
    CHECK(way.latency == 100ms);
    CHECK(way.jitter == 25ms);
    CHECK(way.bandwidth == 1'000'000);
    CHECK(way.loss == Approx(0.01));
  }
  const auto one = faults("up:latency=200ms,down:bandwidth=1mbit");
  CHECK(one.up.latency == 200ms);
  CHECK(one.down.latency == 0ms);
  CHECK(one.up.bandwidth == 0);
  CHECK(one.down.bandwidth == 1'000'000);
}

TEST_CASE("every fault has a form") {
  const auto spec = faults(
      "refuse=10%,blackhole,syn_delay=500ms,reset_after=10kB,down:close_after=5s,slice=64B-4kB,slice_delay="
      "1ms,"
      "stall=10kB/2s,close_delay=1s,duplicate=2%,reorder=3%,corrupt=4%,nxdomain=5%,servfail,"
      "answer=192.0.2.1,answer=2001:db8::1,packets:up:loss=6%,packets:reorder=7%");
  CHECK(spec.refuse == Approx(0.1));
  CHECK(spec.blackhole == 1);
  CHECK(spec.syn_delay == 500ms);
  CHECK(spec.up.reset_after->bytes == 10'000);
  CHECK_FALSE(spec.up.close_after);
  CHECK(spec.down.close_after->time == 5s);
  CHECK(spec.up.slice_least == 64);
  CHECK(spec.up.slice_most == 4000);
  CHECK(spec.up.stall->after.bytes == 10'000);
  CHECK(spec.up.stall->lasting == 2s);
  CHECK(spec.answers.size() == 2);
  CHECK(spec.packets.up.loss == Approx(0.06));
  CHECK(spec.packets.down.loss == 0);
  CHECK(spec.packets.down.reorder == Approx(0.07));
}

TEST_CASE("a wrong fault says what was expected") {
  CHECK(fault_says("latency=200 @ *", "a time with its unit"));
  CHECK(fault_says("latency @ *", "has no value"));
  CHECK(fault_says("bandwidth=0bit @ *", "bits a second"));
  CHECK(fault_says("bandwidth=1mb @ *", "1.5mbit"));
  CHECK(fault_says("loss=0.1 @ udp/*", "10%"));
  CHECK(fault_says("slice=0B @ *", "64B-4kB"));
  CHECK(fault_says("slice=2kB-1kB @ *", "64B-4kB"));
  CHECK(fault_says("stall=5s/ @ *", "10kB/2s"));
  CHECK(fault_says("answer=x @ dns/*", "an address"));
  CHECK(fault_says("lag=2ms @ *", "there are latency"));
  CHECK(fault_says("up:refuse @ *", "leave up: or down: out"));
  CHECK(fault_says(" @ *", "there are latency"));
  CHECK(fault_says("latency=1s,, @ *", "there are latency"));
  CHECK(fault_says("latency=1s", "FAULTS @ MATCH"));
  CHECK(fault_says("latency=1s @", "FAULTS @ MATCH"));
  CHECK(fault_says("latency=1s @ a..b", "has no usable host name"));
}

TEST_CASE("a fault that cannot happen to what it is for is refused") {
  CHECK(fault_says("packets:loss=1% @ *", "without @ MATCH"));
  CHECK(fault_says("packets:latency=1s", "loss, duplicate and reorder"));
  CHECK(fault_says("packets:loss=1%,latency=1s", "FAULTS @ MATCH"));
  CHECK(fault_says("loss=1% @ tcp/*", "packets:loss"));
  CHECK(fault_says("slice=1B @ udp/*", "only streams"));
  CHECK(fault_says("nxdomain @ api.example", "dns/NAME"));
  CHECK(fault_says("bandwidth=1mbit @ dns/*", "dns/ takes"));
  CHECK(fault_says("nxdomain @ dns/10.0.0.0/8", "dns/NAME"));
  CHECK(fault_says("nxdomain @ dns/a.example:53", "dns/NAME"));
  CHECK_FALSE(text_refusal("nxdomain @ dns/tcp/a.example").empty());
  CHECK(text_refusal("loss=1%,slice=1B @ *").empty());
  CHECK(text_refusal("latency=1s,loss=1%,corrupt=1%,nxdomain=50% @ dns/*.example.org").empty());
  CHECK(text_refusal("packets:loss=1%,packets:down:duplicate=1%").empty());
}

TEST_CASE("a fault's rule says itself as it was written") {
  CHECK(parse_fault_rule("latency=200ms,up:loss=1% @ udp/a.example:53").value().to_string() ==
        "fault latency=200ms,up:loss=1% @ udp/a.example:53");
  CHECK(parse_fault_rule("nxdomain @ dns/*.Example.org.").value().to_string() ==
        "fault nxdomain @ dns/*.example.org");
}

}  // namespace
}  // namespace nsrun
