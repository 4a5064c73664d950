"""UDP: datagrams keep their size and boundaries, and errors find their way back.

    sandbox                     world
    guest.py ──── nsrun ───► 192.0.2.10, 2001:db8::10   echo
       ▲            │
       └─ 10.0.2.2 ─┘  (a datagram with one hop to live ends at the gateway)
"""
import contextlib
import errno
import signal
import socket
import threading

from support import sandbox
from support.servers import datagram_echo
from support.theme import expect, expect_equal, test
from support.world import CLIENT4, ROUTELESS4, SERVER4, SERVER6, SILENT4, UNREACHABLE4

IN_A_WORLD = True
SIZES = [0, 1, 1400, 9000, 65507]  # 65507: the most an IPv4 datagram holds
TIME_EXCEEDED4, TIME_EXCEEDED6 = [11, 0], [3, 0]  # RFC 792, RFC 4443 3.3: type and code


@test("datagrams of 0 to 65,507 bytes are echoed over IPv4")
def _():
    with datagram_echo() as port:
        expect_equal(sandbox.inside("echo_datagrams", SERVER4, port, SIZES), [True] * len(SIZES), SIZES)


@test("datagrams of 0 to 65,507 bytes are echoed over IPv6")
def _():
    with datagram_echo(SERVER6) as port:
        expect_equal(sandbox.inside("echo_datagrams", SERVER6, port, SIZES), [True] * len(SIZES), SIZES)


@test("large datagrams are fragmented and put together again at a small MTU")
def _():
    with datagram_echo() as port:
        seen = sandbox.inside("echo_datagrams", SERVER4, port, SIZES, options=["--mtu", "1500"])
        expect_equal(seen, [True] * len(SIZES), SIZES)
        seen = sandbox.inside("echo_datagrams", SERVER4, port, SIZES[:4],
                              options=["--mtu", "576", "--no-ipv6"])
        expect_equal(seen, [True] * 4, SIZES[:4])
    with datagram_echo(SERVER6) as port:
        seen = sandbox.inside("echo_datagrams", SERVER6, port, SIZES, options=["--mtu", "1280"])
        expect_equal(seen, [True] * len(SIZES), SIZES)


# Sends without a pause, and prints how many datagrams the device has lost since it is there.
BURST = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for _ in range({count}):
        s.sendto(bytes(1400), ("{host}", 9))
lines = open("/proc/net/dev").read().split("tun0:")[1].split()
print("lost", lines[11])
"""


@test("a burst of datagrams waits while nsrun is not scheduled")
def _():
    with sandbox.start_shell() as shell:
        shell.ask("true")  # it runs
        shell.signal(signal.SIGSTOP)
        lost = shell.ask(f"python3 -c '{BURST.format(count=3000, host=SERVER4)}'")
        shell.signal(signal.SIGCONT)
        expect_equal(lost, "lost 0")


@test("a datagram to a port nobody listens on is refused, over IPv4 and IPv6")
def _():
    for host in (SERVER4, SERVER6):
        expect_equal(sandbox.inside("datagram_error", host, 9), "ECONNREFUSED", host)


@test("a datagram to where no route leads tells the sender so")
def _():
    expect_equal(sandbox.inside("datagram_error", ROUTELESS4, 9, True), "ENETUNREACH")
    expect_equal(sandbox.inside("datagram_error", UNREACHABLE4, 9, True), "EHOSTUNREACH")


@test("a datagram with one hop to live ends at the gateway, which says so, as traceroute expects")
def _():
    expect_equal(sandbox.inside("time_exceeded", SERVER4, 33434), [*TIME_EXCEEDED4, "10.0.2.2"])
    expect_equal(sandbox.inside("time_exceeded", SERVER6, 33434), [*TIME_EXCEEDED6, "fd00::2"])


@test("200 conversations at once each get their own answers")
def _():
    with datagram_echo() as port:
        script = (f"import socket\n"
                  f"all = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]\n"
                  f"for n, s in enumerate(all): s.settimeout(5); s.sendto(b'%d' % n, ('{SERVER4}', {port}))\n"
                  f"print(sum(s.recv(100) == b'%d' % n for n, s in enumerate(all)))\n")
        seen = sandbox.run(*sandbox.PYTHON, "-c", script)
    expect(seen.strip() == "200", f"answers: {seen.strip()}")


@contextlib.contextmanager
def transfer_server():
    """The port of a server that answers its first question from another port, as TFTP's do, and then echoes there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as transfer:
        asked.bind((SERVER4, 0))
        transfer.bind((SERVER4, 0))
        for end in (asked, transfer):
            end.settimeout(30)

        def work():
            with contextlib.suppress(TimeoutError):
                _, client = asked.recvfrom(1500)
                transfer.sendto(b"block 1", client)
                datagram, client = transfer.recvfrom(1500)
                transfer.sendto(b"ended " + datagram, client)

        threading.Thread(target=work, daemon=True).start()
        yield asked.getsockname()[1]


TRANSFER = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout({limit})
    s.sendto(b"read", ("{host}", {port}))
    try:
        block, server = s.recvfrom(1500)
        s.sendto(b"ack", server)
        print(block.decode(), s.recv(1500).decode())
    except TimeoutError:
        print("nothing")
"""


@test("a server that answers from another port is heard, as TFTP wants it")
def _():
    with transfer_server() as port:
        seen = sandbox.run(*sandbox.PYTHON, "-c", TRANSFER.format(host=SERVER4, port=port, limit=10))
        expect_equal(seen.strip(), "block 1 ended ack")


@test("an answer from a port that the rules refuse does not arrive")
def _():
    with transfer_server() as port:
        seen = sandbox.run(*sandbox.PYTHON, "-c", TRANSFER.format(host=SERVER4, port=port, limit=1),
                           options=["--allow", f"udp/{SERVER4}:{port}"])
        expect_equal(seen.strip(), "nothing")


@test("a socket has one address outside, whatever it sends to, as STUN wants it")
def _():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for server, host in zip(servers, (SERVER4, SERVER4, CLIENT4)):
            server.bind((host, 0))
            server.settimeout(10)
        script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        script += "".join(f"s.sendto(b'who am I?', {server.getsockname()})\n" for server in servers)
        sandbox.run(*sandbox.PYTHON, "-c", script)
        ports = {server.recvfrom(100)[1][1] for server in servers}
        # Each worker keeps its own; a socket's flows may be on several (docs/troubleshooting.md, "Limits").
        workers = next((int(option.partition("=")[2]) for option in sandbox.OPTIONS if option.startswith("--workers=")), 1)
        expect(len(ports) <= workers, "ports:", ports)


PATH_MTU = """
import select, socket, struct
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, MSG_ERRQUEUE = 10, 2, 11, 0x2000
usual, whole = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
whole.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
for s in (usual, whole):
    s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    s.connect(("{host}", 9))
    s.send(bytes(4000))
waiting = select.poll()
waiting.register(whole, select.POLLERR)
waiting.poll(10000)
error, mtu = struct.unpack("I4xI", whole.recvmsg(10, 500, MSG_ERRQUEUE)[1][0][2][:12])
try:
    usual.recvmsg(10, 500, MSG_ERRQUEUE)
    print("both")
except BlockingIOError:
    print(error, mtu)
"""


@test("a socket that asks for DF is told the MTU of the host's link, and others are fragmented there")
def _():
    seen = sandbox.run(*sandbox.PYTHON, "-c", PATH_MTU.format(host=SILENT4))
    expect_equal(seen.strip(), f"{errno.EMSGSIZE} 1500")
