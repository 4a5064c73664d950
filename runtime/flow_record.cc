#include "runtime/flow_record.h"

#include <utility>

namespace nsrun {

Counters& Counters::operator+=(const Counters& other) {
  tcp.connections += other.tcp.connections;
  tcp.bytes_up += other.tcp.bytes_up;
  tcp.bytes_down += other.tcp.bytes_down;
  for (auto [total, more] : {std::pair(&udp, &other.udp), std::pair(&icmp, &other.icmp)}) {
    total->flows += more->flows;
    total->packets_up += more->packets_up;
    total->packets_down += more->packets_down;
    total->bytes_up += more->bytes_up;
    total->bytes_down += more->bytes_down;
  }
  relays_from_guest += other.relays_from_guest;
  return *this;
}

void LiveFlows::add(FlowRecord& flow) {
  flow.before_ = last_;
  (last_ ? last_->after_ : first_) = &flow;
  last_ = &flow;
}

void LiveFlows::remove(FlowRecord& flow) {
  for (auto* walk : walks_)
    if (walk->next_ == &flow) walk->next_ = flow.after_;
  (flow.before_ ? flow.before_->after_ : first_) = flow.after_;
  (flow.after_ ? flow.after_->before_ : last_) = flow.before_;
}

FlowRecord* LiveFlows::Walk::next() {
  FlowRecord* flow = next_;
  if (flow) next_ = flow->after_;
  return flow;
}

FlowRecord::FlowRecord(std::uint64_t id_, const FlowKey& key_, Events& events, LiveFlows& flows, Asker asker_)
    : id(id_), key(key_), asker(asker_), events_(events), flows_(&flows) {
  flows_->add(*this);
  if (key.protocol == Protocol::tcp) flows_->totals.tcp.connections += 1;
  if (key.protocol == Protocol::udp) flows_->totals.udp.flows += 1;
  if (key.protocol == Protocol::icmp) flows_->totals.icmp.flows += 1;
}

void FlowRecord::relayed_from_guest() {
  if (!std::exchange(relayed_from_guest_, true)) flows_->totals.relays_from_guest += 1;
}

void FlowRecord::guest_finished() {
  if (std::exchange(relayed_from_guest_, false)) flows_->totals.relays_from_guest -= 1;
}

void FlowRecord::leave() {
  if (is_listed_) flows_->remove(*this);
  is_listed_ = false;
  carrier_ = nullptr;
}

void FlowRecord::enter(LiveFlows& flows) {
  leave();
  flows_ = &flows;
  flows_->add(*this);
  is_listed_ = true;
}

FlowRecord::~FlowRecord() {
  leave();
  guest_finished();
  ended(FlowEnd::sandbox_ended);
  events_.flow_ended(*this);
}

// From the steady clock, which is kept anyway: a flow's record is as small as it can be.
std::chrono::system_clock::time_point FlowRecord::began() const {
  const auto age = std::chrono::steady_clock::now() - began_steady;
  return std::chrono::system_clock::now() -
         std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
}

void FlowRecord::dials(const Target& target) {
  has_dialled_ = true;
  dialled_ = target.endpoint;
  dialled_name_ = name == target.name ? name : SharedText(target.name);
}

std::string FlowRecord::dialled() const {
  return has_dialled_ ? Target{key.protocol, dialled_, dialled_name_}.to_string() : "";
}

void FlowRecord::cut(std::string reason) {
  if (end != FlowEnd::open || !carrier_) return;
  why = std::move(reason);
  end = FlowEnd::policy;
  carrier_->cut();
}

void FlowRecord::moved_up(std::uint64_t bytes, std::uint64_t packets) {
  bytes_up += bytes;
  packets_up += packets;
  if (key.protocol == Protocol::tcp) {
    flows_->totals.tcp.bytes_up += bytes;
  } else {
    auto& total = key.protocol == Protocol::udp ? flows_->totals.udp : flows_->totals.icmp;
    total.bytes_up += bytes;
    total.packets_up += packets;
  }
}

void FlowRecord::moved_down(std::uint64_t bytes, std::uint64_t packets) {
  bytes_down += bytes;
  packets_down += packets;
  if (key.protocol == Protocol::tcp) {
    flows_->totals.tcp.bytes_down += bytes;
  } else {
    auto& total = key.protocol == Protocol::udp ? flows_->totals.udp : flows_->totals.icmp;
    total.bytes_down += bytes;
    total.packets_down += packets;
  }
}

}  // namespace nsrun
