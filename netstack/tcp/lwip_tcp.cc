#include "netstack/tcp/lwip_tcp.h"

#include <pthread.h>
#include <sys/random.h>

#include <cstring>
#include <mutex>

#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"

extern "C" uint32_t nsrun_random32(void) {
  thread_local uint32_t words[64];
  thread_local unsigned left = 0;
  if (left == 0) {
    while (getrandom(words, sizeof words, 0) != sizeof words) {
    }
    left = 64;
  }
  return words[--left];
}

namespace nsrun {

static_assert(max_segment == TCP_MSS);

// What lwIP calls. `arg` is the flow.
struct LwipCallbacks {
  static err_t received(void* arg, tcp_pcb*, pbuf* bytes, err_t) {
    auto* flow = static_cast<LwipFlow*>(arg);
    bytes ? flow->arrived(bytes) : flow->guest_finished();
    return ERR_OK;
  }
  static err_t sent(void* arg, tcp_pcb*, u16_t count) {
    static_cast<LwipFlow*>(arg)->acknowledged(count);
    return ERR_OK;
  }
  static void failed(void* arg, err_t why) {
    if (arg) static_cast<LwipFlow*>(arg)->gone(why);
  }
  static err_t accepted(void* arg, tcp_pcb* pcb, err_t why) {
    if (why != ERR_OK || !pcb) return ERR_VAL;
    static_cast<LwipFlow*>(arg)->established(*pcb);
    return ERR_OK;
  }
  static err_t connected(void* arg, tcp_pcb* pcb, err_t) {
    static_cast<LwipFlow*>(arg)->established(*pcb);
    return ERR_OK;
  }
  static void watch(LwipFlow* flow, tcp_pcb* pcb) {
    tcp_arg(pcb, flow);
    tcp_recv(pcb, received);
    tcp_sent(pcb, sent);
    tcp_err(pcb, failed);
    tcp_nagle_disable(pcb);
    pcb->pollinterval = 255;
  }
  static void emit(LwipFlow* flow, const pbuf* packet) { flow->emit(packet); }
};

namespace {

// Held for about a microsecond at a time: who waits for it looks again a while before it sleeps.
class EngineLock {
 public:
  void lock() { ::pthread_mutex_lock(&mutex_); }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};

// lwIP's globals, and ours that stand beside them: all under one lock.
struct Engine {
  EngineLock lock;
  netif device{};
  tcp_pcb_listen* wildcard = nullptr;
  LwipFlow* inside = nullptr;             // on whose behalf lwIP sends
  LwipTimers::Resolve resolve = nullptr;  // while timers run
  void* resolve_context = nullptr;

  Engine();
};

Engine& engine() {
  static Engine instance;
  return instance;
}

err_t send(const pbuf* packet) {
  auto& e = engine();
  LwipFlow* flow = e.resolve ? e.resolve(e.resolve_context, packet) : e.inside;
  if (flow) LwipCallbacks::emit(flow, packet);
  return ERR_OK;
}

err_t start_device(netif* device) {
  // lwIP fragments what exceeds the MTU; the device segments instead.
  device->mtu = 65535;
  device->mtu6 = 65535;
  device->output = [](netif*, pbuf* packet, const ip4_addr_t*) { return send(packet); };
  device->output_ip6 = [](netif*, pbuf* packet, const ip6_addr_t*) { return send(packet); };
  device->name[0] = 't';
  device->name[1] = 'n';
  device->flags = NETIF_FLAG_LINK_UP;
  return ERR_OK;
}

Engine::Engine() {
  lwip_init();
  // lwIP routes nothing without an address on its interface, in each family; any will do.
  ip4_addr_t address, mask, gateway;
  IP4_ADDR(&address, 10, 0, 2, 2);
  IP4_ADDR(&mask, 255, 255, 255, 0);
  IP4_ADDR(&gateway, 0, 0, 0, 0);
  netif_add(&device, &address, &mask, &gateway, nullptr, start_device, nullptr);
  netif_set_default(&device);
  netif_set_up(&device);
  netif_set_link_up(&device);
  ip6_addr_t address6;
  IP6_ADDR(&address6, PP_HTONL(0xfd000000), 0, 0, PP_HTONL(2));
  netif_ip6_addr_set(&device, 0, &address6);
  netif_ip6_addr_set_state(&device, 0, IP6_ADDR_PREFERRED);

  tcp_pcb* listener = tcp_new_ip_type(IPADDR_TYPE_ANY);
  tcp_bind(listener, IP_ANY_TYPE, 1);
  wildcard = reinterpret_cast<tcp_pcb_listen*>(tcp_listen(listener));
  tcp_accept(reinterpret_cast<tcp_pcb*>(wildcard), LwipCallbacks::accepted);
}

ip_addr_t to_lwip(const IpAddress& address) {
  ip_addr_t out{};
  if (address.is_v4()) {
    IP_SET_TYPE_VAL(out, IPADDR_TYPE_V4);
    std::memcpy(ip_2_ip4(&out), address.data(), 4);
  } else {
    IP_SET_TYPE_VAL(out, IPADDR_TYPE_V6);
    std::memcpy(ip_2_ip6(&out), address.data(), 16);
  }
  return out;
}

// What ip_input would have noted before it called tcp_input (lwip/ip.h, struct ip_globals).
void describe(const Packet& packet) {
  auto& e = engine();
  ip_data.current_netif = ip_data.current_input_netif = &e.device;
  ip_data.current_ip_header_tot_len = static_cast<u16_t>(packet.header);
  auto* header = packet.bytes.data();
  ip_data.current_ip4_header = packet.is_v4() ? reinterpret_cast<ip_hdr*>(header) : nullptr;
  ip_data.current_ip6_header = packet.is_v4() ? nullptr : reinterpret_cast<ip6_hdr*>(header);
  ip_data.current_iphdr_src = to_lwip(packet.source);
  ip_data.current_iphdr_dest = to_lwip(packet.target);
}

}  // namespace

LwipEntry::LwipEntry(LwipFlow& flow) : flow_(flow) {
  auto& e = engine();
  e.lock.lock();
  e.inside = &flow;
  tcp_active_pcbs = flow.pcb_;
  tcp_ticks = flow.clock_.ticks;
}

LwipEntry::~LwipEntry() {
  auto& e = engine();
  flow_.pcb_ = std::exchange(tcp_active_pcbs, nullptr);
  if (tcp_tw_pcbs) tcp_abort(tcp_tw_pcbs);  // sends nothing in TIME_WAIT
  e.inside = nullptr;
  e.lock.unlock();
  flow_.left();
}

tcp_pcb* LwipEntry::pcb() const { return tcp_active_pcbs; }

void LwipEntry::input(const Packet& packet, pbuf* segment) {
  describe(packet);
  tcp_input(segment, &engine().device);
}

tcp_pcb* LwipEntry::input_syn(const Packet& packet, pbuf* segment) {
  auto& e = engine();
  e.wildcard->local_port = packet.word(2);
  e.wildcard->callback_arg = &flow_;
  input(packet, segment);
  e.wildcard->callback_arg = nullptr;
  if (tcp_active_pcbs) LwipCallbacks::watch(&flow_, tcp_active_pcbs);
  return tcp_active_pcbs;
}

tcp_pcb* LwipEntry::connect(const Endpoint& from, const Endpoint& to) {
  tcp_pcb* pcb = tcp_new_ip_type(from.address.is_v4() ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
  if (!pcb) return nullptr;
  LwipCallbacks::watch(&flow_, pcb);
  pcb->local_ip = to_lwip(from.address);
  pcb->local_port = from.port;
  const ip_addr_t target = to_lwip(to.address);
  if (tcp_connect(pcb, &target, to.port, LwipCallbacks::connected) != ERR_OK) {
    tcp_arg(pcb, nullptr);
    tcp_abort(pcb);
    return nullptr;
  }
  return pcb;
}

void LwipEntry::abort() {
  tcp_pcb* pcb = tcp_active_pcbs;
  if (!pcb) return;
  tcp_arg(pcb, nullptr);
  tcp_err(pcb, nullptr);
  tcp_abort(pcb);
}

void LwipTimers::run(LwipClock& clock, std::span<LwipFlow* const> flows, Resolve resolve, void* context) {
  auto& e = engine();
  const std::lock_guard hold(e.lock);
  tcp_active_pcbs = nullptr;
  for (LwipFlow* flow : flows) {
    if (!flow->pcb_) continue;
    flow->pcb_->next = tcp_active_pcbs;
    tcp_active_pcbs = std::exchange(flow->pcb_, nullptr);
  }
  tcp_ticks = clock.ticks;
  e.resolve = resolve;
  e.resolve_context = context;
  tcp_slowtmr();
  e.resolve = nullptr;
  clock.ticks = tcp_ticks;
  for (tcp_pcb* pcb = std::exchange(tcp_active_pcbs, nullptr); pcb;) {
    tcp_pcb* next = std::exchange(pcb->next, nullptr);
    static_cast<LwipFlow*>(pcb->callback_arg)->pcb_ = pcb;
    pcb = next;
  }
}

}  // namespace nsrun
