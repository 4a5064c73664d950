"""What is not reachable unless asked for: the host's loopback, link-local addresses, cloud metadata.

    sandbox                         world
    guest.py ──── nsrun ─✗─►   127.0.0.1, ::1           servers of this theme, which must not be met
                        └──►   10.0.2.2 with --host-loopback
"""
import json

from support import guest, sandbox
from support.dns import NameServer
from support.servers import Server, datagram_echo, echo
from support.theme import expect, expect_equal, test, until
from support.world import ip

IN_A_WORLD = True
METADATA4, METADATA6 = "169.254.169.254", "fd00:ec2::254"


@test("the gateway leads nowhere by default")
def _():
    with Server(echo, "127.0.0.1") as server, Server(echo, "::1", server.port):
        expect_equal(sandbox.inside("connect_errors", [("10.0.2.2", server.port), ("fd00::2", server.port)]),
                     ["ECONNREFUSED", "ECONNREFUSED"])


@test("with --host-loopback the gateway leads to the host's loopback, for TCP and UDP, IPv4 and IPv6")
def _():
    options = ["--host-loopback"]
    with Server(echo, "127.0.0.1") as server, Server(echo, "::1", server.port):
        for host in ("10.0.2.2", "fd00::2", "host.nsrun.internal"):
            expect_equal(sandbox.inside("echoed", host, server.port, "hello", options=options), "hello", host)
    for loopback, gateway in (("127.0.0.1", "10.0.2.2"), ("::1", "fd00::2")):
        with datagram_echo(loopback) as port:
            expect_equal(sandbox.inside("echo_datagrams", gateway, port, [100], options=options), [True],
                         gateway)


@test("a server at one of the host's loopback addresses is reached at both of the gateway's")
def _():
    gateways = ("10.0.2.2", "fd00::2")
    for loopback in ("127.0.0.1", "::1"):
        with Server(echo, loopback) as server:
            targets = [(gateway, server.port) for gateway in gateways]
            expect_equal(sandbox.inside("connect_errors", targets, options=["--host-loopback"]), [None, None],
                         loopback)
            rules = ["--host-loopback", "--deny", f"{loopback}", "--default", "allow"]
            expect(None not in sandbox.inside("connect_errors", targets, 2, options=rules), loopback)


@test("the guest's own 127.0.0.1 is the guest's, even with --host-loopback")
def _():
    with Server(echo, "127.0.0.1") as server:
        targets = [(host, server.port) for host in ("127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", "::1")]
        for options in ([], ["--host-loopback"]):
            expect_equal(set(sandbox.inside("connect_errors", targets, options=options)), {"ECONNREFUSED"},
                         options)


@test("mapped and unspecified forms of the loopback do not lead to the host")
def _():
    with Server(echo, "127.0.0.1") as server, Server(echo, "::", server.port + 1):
        targets = [(host, server.port + more) for host in ("::ffff:127.0.0.1", "::ffff:0.0.0.0",
                                                           "::127.0.0.1", "::",
                                                           "64:ff9b::7f00:1") for more in (0, 1)]
        seen = sandbox.inside("connect_errors", targets, 2)
        expect(None not in seen, list(zip(targets, seen)))


@test("a guest that is root and routes 127.0.0.1 to the host is refused there")
def _():
    with Server(echo, "127.0.0.1") as server:
        script = ("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; "
                  "echo 1 >/proc/sys/net/ipv4/conf/tun0/route_localnet; "
                  "ip address del 127.0.0.1/8 dev lo; ip route del table local 127.0.0.1; "
                  "ip route del table local 127.0.0.0/8; "
                  "ip route add 127.0.0.0/8 dev tun0 src 10.0.2.100 && exec \"$@\"")
        done = sandbox.nsrun("--map-root", "--log", "-", "--", "sh", "-c", script, "sh",
                             *sandbox.guest_command("connect_error", "127.0.0.1", server.port, 3))
        expect(done.stdout.startswith('["EHOSTUNREACH"') or done.stdout.startswith('["timeout"'), done.stdout,
               done.stderr)
        expect("protected-address" in done.stderr or "timeout" in done.stdout, done.stderr)


@test("link-local addresses and cloud metadata are unreachable at once, whatever the world has there")
def _():
    for address in (f"{METADATA4}/32", f"{METADATA6}/128"):
        ip(f"address add {address} dev lo{' nodad' if ':' in address else ''}")
    with Server(echo, METADATA4, 80), Server(echo, METADATA6, 80):
        # A route to an IPv6 address comes a moment after the address.
        until(lambda: guest.connect_errors([(METADATA4, 80), (METADATA6, 80)]) == [None, None], what="the world")
        for host in (METADATA4, METADATA6, f"::ffff:{METADATA4}", "169.254.1.1"):
            seen, seconds = sandbox.inside("connect_error", host, 80, 3, options=["--host-loopback"])
            expect(seen in ("EHOSTUNREACH", "EACCES", "ENETUNREACH"), f"{host}: {seen}")
            expect(seconds < 0.5, f"{host}: only after {seconds:.2f} s")


@test("a name that stands for a protected address leads nowhere")
def _():
    table = {("loop.example.test", "A"): ["127.0.0.1"], ("meta.example.test", "A"): [METADATA4]}
    with NameServer(table), Server(echo, "127.0.0.1", 8088):
        seen = sandbox.inside("connect_errors", [("loop.example.test", 8088), ("meta.example.test", 80)], 3)
    expect(None not in seen, seen)


@test("multicast and broadcast do not leave the sandbox")
def _():
    for host in ("239.1.2.3", "ff05::2", "255.255.255.255"):
        done = sandbox.nsrun("--log", "-", "--",
                             *sandbox.guest_command("datagram_error", host, 5353, True, 1))
        flows = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        expect(all(flow["verdict"] != "allow" for flow in flows), host, flows)
