"""The kinds of network that are compared, and how each is given a command to run."""
import dataclasses
import shlex
import shutil
import subprocess

GATEWAY = "10.0.2.2"  # the host's loopback, in every namespace
IPERF_PORT = 5201     # of its server, on 127.0.0.1
PUBLISHED = 5301      # the port of a server inside, and of its published port on 127.0.0.1

# A new namespace begins with the machine's default, which a bbr distorts; nsrun writes reno by itself.
RENO = "echo reno >/proc/sys/net/ipv4/tcp_congestion_control || exit 1; "

PASTA = "pasta --config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 -m 65520 -u none -T none -U none -q"

# slirp4netns has no command of its own to run: a namespace is made, configured, and entered. Each step says when
# it is done; the namespace lives as long as its sleep.
SLIRP = """d=$(mktemp -d)
trap 'kill $u $s 2>/dev/null; wait; rm -r $d' EXIT
unshare -Urn sh -c "echo > $d/made; exec sleep 600" >/dev/null 2>&1 & u=$!
until [ -s $d/made ]; do sleep 0.01; done
slirp4netns --configure --mtu=65520 --ready-fd=3 $u tap0 3>$d/ready >/dev/null 2>$d/errors & s=$!
until [ -s $d/ready ]; do kill -0 $s || {{ cat $d/errors >&2; exit 1; }}; sleep 0.01; done
nsenter -U -n --preserve-credentials -t $u sh -c {inner}"""


@dataclasses.dataclass(frozen=True)
class Party:
    """One kind of network, started with some options."""

    name: str
    programs: tuple = ()     # what the stack's processes are called in /proc/PID/stat
    prefix: str = ""         # before the command to run
    publish: str = ""        # options that publish PUBLISHED
    address: str = GATEWAY   # of this machine's servers, seen from inside

    def wrap(self, inner, publish=False):
        """The shell command that runs `inner` in this network."""
        options = f" {self.publish}" if publish else ""
        separator = " -- " if self.prefix else ""
        return f"{self.prefix}{options}{separator}sh -c {shlex.quote(inner)}"

    def start_argv(self):
        """Runs `true` in this network, without a shell; None where that cannot be timed."""
        return [*shlex.split(self.wrap(""))[:-3], "true"]

    def why_not(self):
        """Why this party cannot take part; empty where it can."""
        argv = self.start_argv()
        if not shutil.which(argv[0]):
            return f"{argv[0]} is not installed"
        tried = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        complaint = tried.stderr.strip().splitlines()
        return "" if tried.returncode == 0 else f"`{shlex.join(argv)}`: " + (complaint or [str(tried.returncode)])[-1]


class Slirp4netns(Party):
    def wrap(self, inner, publish=False):
        return SLIRP.format(inner=shlex.quote(RENO + inner))

    def start_argv(self):
        return None

    def why_not(self):
        return "" if shutil.which(self.name) else f"{self.name} is not installed"


@dataclasses.dataclass(frozen=True)
class Pasta(Party):
    def wrap(self, inner, publish=False):
        return f"{self.prefix} {self.publish if publish else '-t none'} -- sh -c {shlex.quote(RENO + inner)}"


RELAYED = "127.0.0.2"  # where a relay listens, at the port that iperf3's server has on 127.0.0.1

# Programs that stand between a client and a server of this machine. lennut's client says when it waits.
RELAYS = {
    "socat": "socat TCP-LISTEN:{port},bind={address},fork,reuseaddr,nodelay TCP:127.0.0.1:{port},nodelay & pids=$!",
    "forward": "{nsrun} forward tcp://{address}:{port}=tcp://127.0.0.1:{port} & pids=$!",
    "wake": "{nsrun} wake --listen tcp://{address}:{port}=tcp://127.0.0.1:{port} --exec 'sleep 1000' --probe none & "
            "pids=$!",
    "forward unix": "{nsrun} forward tcp://{address}:{port}=unix:///tmp/nsrun-bench-$$.sock "
                    "unix:///tmp/nsrun-bench-$$.sock=tcp://127.0.0.1:{port} & pids=$!",
    "lennut": "mkfifo /tmp/nsrun-bench-$$\n"
              "{nsrun} lennut server --bind-proxy {address}:{port} --bind-client 127.0.0.1:5399 & pids=$!\n"
              "{nsrun} lennut client --server-addr 127.0.0.1:5399 --proxy-to 127.0.0.1:{port} --ready-fd 3 "
              "3>/tmp/nsrun-bench-$$ & pids=\"$! $pids\"\n"
              "read _ </tmp/nsrun-bench-$$; rm /tmp/nsrun-bench-$$",
}


@dataclasses.dataclass(frozen=True)
class Relay(Party):
    """A client of a relay, in no namespace of its own; the relay leads to iperf3's server."""

    start: str = ""

    def wrap(self, inner, publish=False):
        return (f"trap 'kill $pids; wait' EXIT\n{self.start}\n"
                f"until ss -Hltn 'src {self.address}' | grep -q .; do sleep 0.02; done\n"
                f"sh -c {shlex.quote(inner)}")

    def start_argv(self):
        return None

    def why_not(self):
        program = self.start.split()[0]
        return "" if program == "mkfifo" or shutil.which(program) else f"{program} is not installed"


TUNNEL_PORT = 5398  # a tunnel's ports are on 127.0.0.1 alone

TUNNEL = ("mkfifo /tmp/nsrun-bench-$$\n"
          "{nsrun} tunnel server --host 127.0.0.1 --port 5399 & pids=$!\n"
          "until ss -Hltn 'sport = 5399' | grep -q .; do sleep 0.02; done\n"
          "{nsrun} tunnel client --server ws://127.0.0.1:5399/ --forward {tunnel}=127.0.0.1:{port} {options} --ready-fd 3 "
          "3>/tmp/nsrun-bench-$$ & pids=\"$! $pids\"\n"
          "read _ </tmp/nsrun-bench-$$; rm /tmp/nsrun-bench-$$")
TUNNELS = {"tunnel": "", "tunnel, JSON": "--json"}


class TunnelRelay(Relay):
    def wrap(self, inner, publish=False):
        return super().wrap(inner.replace(f"-c {self.address} ", f"-c {self.address} -p {TUNNEL_PORT} "))


# Options of nsrun that are worth a comparison. One that this nsrun does not know is left out, and that is said.
VARIANTS = {
    "MTU 576": "--mtu 576 --no-ipv6",
    "MTU 1500": "--mtu 1500",
    "MTU 9000": "--mtu 9000",
    "1 worker": "--workers 1",
    "2 workers": "--workers 2",
    "latency=low": "--latency=low",
    "latency=cpu": "--latency=cpu",
    "accelerate": "--accelerate",
    "veth": "--device=veth",
    "log": "--log /dev/null",
    "rules": f"--allow {GATEWAY}",
}


def make_nsrun(name, binary, options=""):
    prefix = f"{binary} --host-loopback {options}".strip()
    return Party(name, ("nsrun", "baseline"), prefix, f"-p 127.0.0.1:{PUBLISHED}:{PUBLISHED}")


def make(name, binary):
    """The party of that name; `binary` is the nsrun to measure."""
    if name == "loopback":
        return Party(name, address="127.0.0.1")
    if name == "pasta":
        return Pasta(name, ("pasta", "passt"), PASTA, f"-t 127.0.0.1/{PUBLISHED}")
    if name == "slirp4netns":
        return Slirp4netns(name, ("slirp4netns",))
    if name in RELAYS:
        start = RELAYS[name].format(nsrun=binary, address=RELAYED, port=IPERF_PORT)
        return Relay(name, ("nsrun", "socat"), address=RELAYED, start=start)
    if name in TUNNELS:
        start = TUNNEL.format(nsrun=binary, port=IPERF_PORT, tunnel=TUNNEL_PORT, options=TUNNELS[name])
        return TunnelRelay(name, ("nsrun",), address="127.0.0.1", start=start)
    return make_nsrun(name, binary, VARIANTS.get(name, ""))
