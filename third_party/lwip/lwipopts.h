#pragma once
/* lwIP carries TCP alone, for any destination, over checksum and segmentation offload, on one thread at a time.
   Each option says why it differs from lwIP's default. */
#include <stdint.h>

/* No threads, no sockets, no timers of its own: netstack/ calls in and drives the clock. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_TIMERS 0

/* Its macros htons() and htonl() would rewrite the C library's declarations, where these come later. */
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS

/* TCP over IPv4 and IPv6 and nothing else: UDP, ICMP and reassembly are ours. lwIP's are either process-wide
   (reassembly would mix the fragments of two sandboxes) or cannot carry segmentation offload (UDP). */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_TCP 1
#define LWIP_UDP 0
#define LWIP_RAW 0
#define LWIP_ICMP 0
#define LWIP_ICMP6 1 /* nd6.c needs its declarations; no packet reaches it */
#define IP_REASSEMBLY 0
#define LWIP_IPV6_REASS 0
#define IP_FRAG 0
#define LWIP_IPV6_FRAG 0

/* One netif without link layer, neighbours or addresses to look after. */
#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_SINGLE_NETIF 1
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_HAVE_LOOPIF 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_IPV6_SCOPES 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_ND6_QUEUEING 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0

/* The C library's allocator is faster than lwIP's pools, and has no fixed number of connections. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define LWIP_STATS 0
/* Payload stays in the buffer the device filled. */
#define LWIP_SUPPORT_CUSTOM_PBUF 1

/* A segment is as large as an IP packet can be; the device cuts it to the guest's MTU. */
#define TCP_MSS 65480
/* The sanity checks assume an MSS of at most 16,382. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
/* Above half the largest window lwIP caps segments; 4 MiB keep 64 KiB segments whole and a stalled flow
 * bounded. With 2 MiB an upload waits for the window: the guest sends from our ACKs, on our time (0.91 for 1.0). */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (4 * 1024 * 1024)
#define TCP_SND_BUF (4 * 1024 * 1024)
#define TCP_SND_QUEUELEN 8192
#define TCP_SNDLOWAT 1
#define TCP_SNDQUEUELOWAT 4
/* Data is written by reference from blocks of ours: no over-allocation to fill later. */
#define TCP_OVERSIZE 0
/* A window update is worth a packet once a good part of the window is free again. */
#define TCP_WND_UPDATE_THRESHOLD (512 * 1024)
/* The device neither loses nor reorders, unless it is told to; what a hostile guest sends out of order is bounded.
   As many segments of an MTU of 1500 as there may be bytes: one that finds no room is lost, too, and without
   selective acknowledgements each costs the guest a round trip. */
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES (256 * 1024)
#define TCP_OOSEQ_MAX_PBUFS 192
/* lwIP's slow timer runs every 2 * 50 ms: a lost packet on a local device is not worth half a second. */
#define TCP_TMR_INTERVAL 50
#define TCP_MSL 1000
#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_CALLBACK_API 1

/* The kernel fills in TCP checksums (virtio offload); only the IPv4 header's own is made here. */
#define CHECKSUM_GEN_IP 1
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_GEN_UDP 0
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_TCP 0
#define CHECKSUM_CHECK_UDP 0
#define LWIP_INLINE_IP_CHKSUM 1
#define LWIP_CHKSUM_ALGORITHM 3

/* Initial sequence numbers from the kernel's random numbers (RFC 6528's purpose, without its hash). */
#ifdef __cplusplus
extern "C"
#endif
uint32_t nsrun_random32(void);
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) nsrun_random32()
