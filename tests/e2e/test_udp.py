"""UDP: datagrams keep their size and boundaries, and errors find their way back.

    sandbox                     world
    guest.py ──── nsrun ───► 192.0.2.10, 2001:db8::10   echo
       ▲            │
       └─ 10.0.2.2 ─┘  (a datagram with one hop to live ends at the gateway)
"""
import signal

from support import sandbox
from support.servers import datagram_echo
from support.theme import expect, expect_equal, test
from support.world import ROUTELESS4, SERVER4, SERVER6, UNREACHABLE4

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
