#include "host/faults/fault_spec.h"

namespace nsrun {
namespace {

// What a spec's faults are about.
struct Kinds {
  explicit Kinds(const FaultSpec& spec)
      : packets(spec.packets.any()),
        answers(spec.nxdomain > 0 || spec.servfail > 0 || !spec.answers.empty()),
        flows(spec.refuse > 0),
        any(spec.blackhole > 0),
        streams(spec.syn_delay.count() > 0) {
    for (const WayFaults& way : {spec.up, spec.down}) {
      datagrams |= way.loss + way.duplicate + way.reorder + way.corrupt > 0;
      streams |= way.slice_most || way.slice_delay.count() || way.reset_after || way.close_after ||
                 way.close_delay.count();
      flows |= way.bandwidth || way.stall;
      any |= way.latency.count() || way.jitter.count();
    }
  }
  bool packets, answers, flows, any, streams, datagrams = false;
};

Error wrong_faults(const FaultSpec& spec, const char* why, const char* advice) {
  return {"'" + spec.text + "' " + why, {}, advice, ExitCode::usage};
}

}  // namespace

Result<void> check_faults(const FaultSpec& spec, FaultTarget target) {
  const Kinds has(spec);
  if (target == FaultTarget::packets) {
    const bool has_others = has.answers || has.flows || has.any || has.streams || has.datagrams;
    if (has_others && has.packets)
      return wrong_faults(
          spec, "has faults of packets and of flows",
          "each of packets begins so: packets:loss=1%,packets:reorder=1%; those of flows go apart: "
          "FAULTS @ MATCH");
    if (has_others)
      return wrong_faults(
          spec, "does not say which flows",
          "write it as FAULTS @ MATCH, for instance latency=200ms @ *; in a file with match: HOST");
    return {};
  }
  if (has.packets)
    return wrong_faults(spec, "has faults of packets, which belong to no flow",
                        "give packets: faults alone, without @ MATCH");
  if (target == FaultTarget::name) {
    if (!has.streams && !has.flows) return {};
    return wrong_faults(
        spec, "has faults that no answer can have",
        "dns/ takes latency, jitter, loss, duplicate, reorder, corrupt, blackhole, nxdomain, servfail "
        "and answer");
  }
  if (has.answers)
    return wrong_faults(spec, "is about the name server's answers", "match queries: @ dns/NAME");
  if (target == FaultTarget::stream && has.datagrams)
    return wrong_faults(spec, "loses or changes datagrams, which a stream has none of",
                        "lose its packets: --fault packets:loss=1%");
  if (target == FaultTarget::datagram && has.streams)
    return wrong_faults(spec, "has faults that only streams can have", "match tcp/, or any protocol");
  return {};
}

}  // namespace nsrun
