#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "lwip/tcp.h"
#include "netstack/packet.h"

// lwIP's TCP, made to serve many stacks and any number of flows in one process, unpatched.
//
// lwIP finds a connection by walking the global list tcp_active_pcbs. Each flow has a list of its own here,
// of at most one pcb, and enters lwIP alone: LwipEntry puts the flow's pcb and its stack's clock in place of
// the globals, and takes them back after. So a packet costs the same however many flows live, stacks cannot
// see each other, and what lwIP keeps between calls is all in the flow. One process-wide lock covers the time
// in between, which is about a microsecond: what lwIP sends meanwhile is only taken down, and written once it
// is left. So stacks may run on several threads and seldom wait for each other.
//
// Any destination: the wildcard listener's port is set to the SYN's own just before the SYN is fed, and lwIP
// takes the local address from the packet. Nothing is bound, no address is configured.
//
// TIME_WAIT ends at once: a local device delivers nothing late, and a pcb there would refuse the port's
// reuse.

namespace nsrun {

// lwIP's clock as one stack sees it, in slow ticks.
struct LwipClock {
  std::uint32_t ticks = 0;
};
constexpr std::chrono::milliseconds lwip_slow_tick{2 * TCP_TMR_INTERVAL};
// lwipopts.h's TCP_MSS. <netinet/tcp.h> has a macro of that name too, with another value: use this.
constexpr std::uint16_t max_segment = 65'480;  // bytes of payload

// A flow inside lwIP. Its callbacks come while the flow is inside (or timers run): they only take note.
class LwipFlow {
 public:
  explicit LwipFlow(LwipClock& clock) : clock_(clock) {}
  LwipFlow(const LwipFlow&) = delete;
  bool alive() const { return pcb_ != nullptr; }  // lwIP still has a pcb for it
  const tcp_pcb* pcb() const { return pcb_; }

 protected:
  virtual ~LwipFlow() = default;

  virtual void arrived(pbuf* bytes) = 0;         // in order; owns it
  virtual void guest_finished() = 0;             // FIN
  virtual void acknowledged(std::uint16_t) = 0;  // bytes of ours
  virtual void established(tcp_pcb& pcb) = 0;    // before lwIP sends anything else
  virtual void gone(err_t why) = 0;              // lwIP has freed the pcb; ERR_RST: the guest reset it
  virtual void emit(const pbuf* packet) = 0;  // one IP packet to the guest, its headers valid during the call
  virtual void left() = 0;                    // lwIP has been left: what was emitted goes out

 private:
  friend class LwipEntry;
  friend struct LwipCallbacks;
  friend class LwipTimers;
  LwipClock& clock_;
  tcp_pcb* pcb_ = nullptr;
};

// While it lives, lwIP belongs to this flow.
class LwipEntry {
 public:
  explicit LwipEntry(LwipFlow& flow);
  ~LwipEntry();
  LwipEntry(const LwipEntry&) = delete;

  tcp_pcb* pcb() const;
  // One TCP packet; `segment` is a pbuf over packet.bytes, which lwIP takes.
  void input(const Packet& packet, pbuf* segment);
  // A SYN to the wildcard listener: the flow's pcb, in SYN_RCVD, its SYN+ACK sent. Null when lwIP would not.
  tcp_pcb* input_syn(const Packet& packet, pbuf* segment);
  // Connects to the guest, from any address and port.
  tcp_pcb* connect(const Endpoint& from, const Endpoint& to);
  // Sends RST, if a reset is due in the pcb's state, and frees it. gone() is not called.
  void abort();

 private:
  LwipFlow& flow_;
};

// lwIP's slow timer, run once over all flows given, linked into one list for the time. (tcp_slowtmr counts
// its calls in 8 bits; one call for each flow would wrap that.)
class LwipTimers {
 public:
  // Whose packet this is, by its addresses and ports: the timer does not say on whose behalf it sends.
  using Resolve = LwipFlow* (*)(void* context, const pbuf* packet);
  static void run(LwipClock& clock, std::span<LwipFlow* const> flows, Resolve resolve, void* context);
};

}  // namespace nsrun
