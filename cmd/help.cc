#include "cmd/help.h"

namespace nsrun {

const char* help_text() {
  return R"(nsrun gives a command a network of its own, without root.

  nsrun [OPTIONS] [--] COMMAND [ARGUMENTS]
  nsrun ctl SOCKET COMMAND        controls a running one: nsrun ctl --help
  nsrun forward LISTEN=DIAL...    without a sandbox: nsrun forward --help
  nsrun lennut server|client ...  a plain reverse tunnel
  nsrun tunnel server|client ...  ports through a WebSocket
  nsrun vsock host|peer ...       across a virtual machine's boundary
  nsrun wake ...                  starts servers on demand: nsrun wake --help
  nsrun completion bash|zsh|fish  completes options in a shell

Network
  -p, --publish [[ADDR:]PORT:]PORT[/udp]   a port of the host that leads inside,
                            on all addresses unless ADDR is given; repeat it,
                            or give ranges: 8000-8009:80-89
      --forward LISTEN=DIAL endpoints of nsrun forward; in the sandbox
                            guest+tcp://HOST:PORT, guest+udp://HOST:PORT
      --host-loopback       10.0.2.2 (fd00::2) leads to the host's own loopback
      --dial URL            how flows leave: direct:// (default),
                            socks5://[USER:PASSWORD@]HOST[:PORT], socks5h://,
                            http://[USER:PASSWORD@]HOST[:PORT],
                            tunnel+wss://[TOKEN@]HOST[:PORT]/, or an endpoint:
                            unix:///PATH, vsock://CID:PORT, tls://HOST:PORT
      --device tun|veth|auto  veth needs no /dev/net/tun; auto (default): TUN where
                            it can be opened
      --mtu BYTES           1280 to 65520 (default 65520)
      --workers N|auto      threads that carry the network (default 1)
      --network-memory SIZE  memory that the sandbox can make nsrun hold (default
                            512MiB); new flows are refused first
      --latency auto|low|cpu  look for work before sleeping: while that pays
                            (default), always, never
      --accelerate[=auto|on|off]  TCP connections become sockets of the host's
                            where they can, at its full speed (default off)
      --network CIDR        default 10.0.2.0/24: the command is .100, the
                            gateway .2, the name server .3
      --network6 CIDR       default fd00::/64
      --no-ipv6             IPv4 alone
      --no-resolv-conf      leave /etc/resolv.conf as it is

Policy (the first rule that matches decides; with any --allow, everything else
is refused)
      --allow, --deny (silence), --reject MATCH
                            [tcp/|udp/|icmp/|tls/|http/|dns/]HOST[:PORT[-PORT]],
                            HOST a name, *.NAME, an address, a network, *
      --allow-domains A,B   --allow for each
      --redirect FROM=TO    --redirect api.example:443=127.0.0.1:9000
      --via URL@MATCH       as --dial, for these
      --default allow|deny|reject|ask
      --policy FILE         rules in YAML, at the place of the option
      --learn FILE          allow all, then write the policy that would suffice
      --ask CMD             CMD decides when no rule does
      --ask-timeout SECONDS   how long it may take (default 30)
      --log-flows MATCH     report these flows as they start
      --fault 'FAULTS @ MATCH'   make them slow, lossy, refused, cut …:
                            'latency=200ms,jitter=50ms @ *.example.org',
                            'nxdomain @ dns/NAME'; packets:loss=1% for all
      --fault-seed N        the seed of random faults (default 1)
      nsrun policy check|explain   see nsrun policy --help

Record
      --log FILE            a JSON line for each flow ("-": standard error)
      --pcap FILE           all packets, as pcapng, with names
      --summary             at the end, which hosts were reached and which not
      --control SOCKET      nsrun ctl SOCKET flows|top|stats|publish …|
                            policy …|capture …: while it runs

Command
      --map-root            root inside, you outside
      --map-auto            also your ranges of /etc/subuid and /etc/subgid
      --pid, --uts, --ipc   more namespaces of its own
      --allow-unix PATH     leave a unix socket reachable where flows are denied
                            by default, and with them all other ways out
      --linger              stay until the last process inside has ended

  -q, --quiet               no warnings
  -h, --help; -V, --version

Not reachable unless asked for: the host's loopback, link-local addresses,
cloud metadata. Exit status: the command's own (128 + n for signal n); 2 usage,
120 no device, 121 no namespaces, 122 port in use, 123 no id ranges,
125 other failures, 126 not executable, 127 not found. See nsrun(1).
)";
}

}  // namespace nsrun
