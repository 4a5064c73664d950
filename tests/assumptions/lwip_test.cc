// What netstack/tcp/lwip_tcp.cc and tcp_guard.cc take for granted of lwIP. A new lwIP is to be read again
// where one of these fails.

#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>

#include "tests/support/catch.h"

#include "netstack/tcp/lwip_tcp.h"

using namespace nsrun;

namespace {

// Pcbs as they stand, without a connection behind them.
tcp_pcb* established_pcb() {
  tcp_pcb* pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
  pcb->state = ESTABLISHED;
  pcb->pollinterval = 255;  // polltmr then counts the visits
  pcb->local_port = 80;
  pcb->remote_port = 4000;
  return pcb;
}

class Counting final : public LwipFlow {
 public:
  using LwipFlow::LwipFlow;
  int emitted = 0;

 private:
  void arrived(pbuf* bytes) override { pbuf_free(bytes); }
  void guest_finished() override {}
  void acknowledged(std::uint16_t) override {}
  void established(tcp_pcb&) override {}
  void gone(err_t) override {}
  void emit(const pbuf*) override { ++emitted; }
  void left() override {}
};

}  // namespace

TEST_CASE("lwIP is a version whose tcp_in.c, tcp_out.c and tcp.c were read") {
  CHECK(LWIP_VERSION_MAJOR == 2);
  CHECK((LWIP_VERSION_MINOR == 1 || LWIP_VERSION_MINOR == 2));
}

TEST_CASE("tcp_slowtmr visits every pcb of whatever list stands in tcp_active_pcbs, each tick") {
  LwipClock clock;
  Counting flow(clock);
  LwipEntry entry(flow);  // lwIP is initialised, and ours
  for (int round = 0; round < 600; ++round) {
    // Another list each time, as LwipTimers makes them; last_timer wraps after 256.
    tcp_pcb* first = established_pcb();
    tcp_pcb* second = established_pcb();
    first->next = second;
    tcp_active_pcbs = first;
    const auto polls = first->polltmr;
    tcp_slowtmr();
    CHECK(first->polltmr == polls + 1);
    CHECK(second->polltmr == polls + 1);
    tcp_active_pcbs = nullptr;
    first->next = nullptr;
    for (tcp_pcb* pcb : {first, second}) {
      tcp_active_pcbs = pcb;
      pcb->state = TIME_WAIT;
      tcp_tw_pcbs = pcb;
      tcp_active_pcbs = nullptr;
      tcp_abort(pcb);
    }
    CHECK(tcp_tw_pcbs == nullptr);
  }
  CHECK(flow.emitted == 0);  // aborting in TIME_WAIT sends nothing
}
