"""A world: user, network, mount and pid namespaces in which a theme has the internet to itself.

    world                                                        sandbox, made by nsrun in the world
    ┌──────────────────────────────────────────────────────┐     ┌──────────────────────┐
    │ lo   192.0.2.10, .20, .53, .54   2001:db8::10, ::20  │     │ 10.0.2.100           │
    │ void 203.0.113.1/24   .9 answers nothing, ever       │◄────┤ fd00::100            │
    │ 198.51.100.1 unreachable   .2 prohibited             │nsrun│                      │
    │ all else: no route                                   │     │                      │
    │ near 192.0.2.129/30   .130 another machine, if asked │     │                      │
    └──────────────────────────────────────────────────────┘     └──────────────────────┘

The theme's own process is root in the world, which outside is the account that runs the suite; nsrun is run
in one more user namespace, as an ordinary account without capabilities, just as on a machine (USER below).
The world is a pid namespace too: what a theme leaves running ends with it.
"""
import contextlib
import ctypes
import functools
import os
import subprocess
import tempfile

SERVER4, CLIENT4, RESOLVER4, OTHER_RESOLVER4 = "192.0.2.10", "192.0.2.20", "192.0.2.53", "192.0.2.54"
SERVER6, CLIENT6 = "2001:db8::10", "2001:db8::20"
SILENT4 = "203.0.113.9"        # takes every packet and never answers
UNREACHABLE4, UNREACHABLE6 = "198.51.100.1", "2001:db8:dead::1"
PROHIBITED4 = "198.51.100.2"
ROUTELESS4, ROUTELESS6 = "192.88.99.9", "2001:db8:beef::9"
NEIGHBOUR4 = "192.0.2.130"     # another machine's address: not one of the world's own; see on_machine_of

_ENTERED = "NSRUN_E2E_WORLD"   # holds the ids, outside, of the account that runs the suite
_CLONE_NEWNET = 0x40000000      # sched.h
_UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc",
            "--kill-child"]


def is_entered():
    return _ENTERED in os.environ


def enter(command):
    """Runs this process anew in a world; comes back, with the reason, only where worlds cannot be made."""
    tried = subprocess.run([*_UNSHARE, "ip", "link", "add", "void", "type", "veth", "peer", "name", "abyss"],
                           capture_output=True, text=True)
    if tried.returncode != 0:
        return "no world can be made here: " + tried.stderr.strip()
    os.environ[_ENTERED] = f"{os.getuid()} {os.getgid()}"
    os.execvp(_UNSHARE[0], [*_UNSHARE, *command])


def as_user():
    """The words before a command that make it an ordinary account's; elsewhere it is that already."""
    if not is_entered():
        return []
    uid, gid = os.environ[_ENTERED].split()
    return ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--"]


def ip(words):
    subprocess.run(["ip", *words.split()], check=True)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def set_resolvers(*addresses):
    """Writes the world's /etc/resolv.conf."""
    write("/etc/resolv.conf", "".join(f"nameserver {address}\n" for address in addresses))


def furnish():
    """Makes the world what the drawing says; gives back what to call when it ends."""
    write("/proc/sys/net/ipv4/tcp_congestion_control", "reno")  # bbr paces loopback to a fraction
    write("/proc/sys/net/ipv4/ping_group_range", "0 0")
    ip("link set lo up")
    for address in (SERVER4, CLIENT4, RESOLVER4, OTHER_RESOLVER4):
        ip(f"address add {address}/32 dev lo")
    for address in (SERVER6, CLIENT6):
        ip(f"address add {address}/128 dev lo nodad")
    ip("link add void type veth peer name abyss")
    for device in ("void", "abyss"):
        write(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "1")
        ip(f"link set {device} up")
    ip("address add 203.0.113.1/24 dev void")
    # The other end of the pair is no router: it takes what is sent to this neighbour and throws it away.
    ip(f"neighbour add {SILENT4} lladdr 02:00:00:00:00:09 dev void nud permanent")
    ip(f"route add unreachable {UNREACHABLE4}")
    ip(f"-6 route add unreachable {UNREACHABLE6}")
    ip(f"route add prohibit {PROHIBITED4}")
    return furnish_resolv_conf()


def _call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


@functools.cache
def _neighbour():
    """A second network with NEIGHBOUR4, and the link to it: [the world's network, that one], as descriptors."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _call("unshare", _CLONE_NEWNET)
    try:
        there = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        ip("link set lo up")
        ip(f"link add far type veth peer name near netns /proc/{os.getpid()}/fd/{home}")
        ip(f"address add {NEIGHBOUR4}/30 dev far")
        ip("link set far up")
    finally:
        _call("setns", home, _CLONE_NEWNET)
    ip("address add 192.0.2.129/30 dev near")
    ip("link set near up")
    return home, there


@contextlib.contextmanager
def on_machine_of(host):
    """The sockets that this thread makes in it are of the machine with that address: NEIGHBOUR4's or the world."""
    if host != NEIGHBOUR4:
        yield
        return
    home, there = _neighbour()
    _call("setns", there, _CLONE_NEWNET)
    try:
        yield
    finally:
        _call("setns", home, _CLONE_NEWNET)


def furnish_resolv_conf():
    """Covers /etc/resolv.conf; the function given back removes the file behind it, which has to live as
    long as the world: mount(2) refuses a mount point that was unlinked."""
    with tempfile.NamedTemporaryFile(prefix="nsrun-e2e-resolv-", delete=False) as file:
        os.chmod(file.name, 0o644)
        subprocess.run(["mount", "--bind", file.name, os.path.realpath("/etc/resolv.conf")], check=True)
    set_resolvers(RESOLVER4)
    return lambda: os.unlink(file.name)
