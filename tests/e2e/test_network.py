"""The network a command finds itself in, and the options that shape it.

    sandbox: lo, tun0 10.0.2.100/24 fd00::100/64 ──► gateway 10.0.2.2 fd00::2, name server 10.0.2.3 fd00::3
"""
import json

from support import sandbox
from support.dns import NameServer
from support.servers import Server, echo
from support.theme import expect, expect_equal, test
from support.world import SERVER4, SERVER6

IN_A_WORLD = True
NAME = "www.example.test"


def addresses(*options):
    """{device: [addresses with their prefix length]}, and tun0's MTU."""
    links = json.loads(sandbox.run("ip", "-j", "address", options=options))
    found = {link["ifname"]: [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]] for link in links}
    return found, next(link["mtu"] for link in links if link["ifname"] == "tun0")


@test("the addresses, routes and MTU are those that are documented")
def _():
    found, mtu = addresses()
    expect_equal(found, {"lo": ["127.0.0.1/8", "::1/128"], "tun0": ["10.0.2.100/24", "fd00::100/64"]})
    expect_equal(mtu, 65520)
    expect(sandbox.run("ip", "route").startswith("default via 10.0.2.2 dev tun0"), "the IPv4 route")
    expect("default via fd00::2 dev tun0" in sandbox.run("ip", "-6", "route"), "the IPv6 route")


@test("--network and --network6 move everything: guest, gateway, name server")
def _():
    options = ["--network", "192.168.77.0/24", "--network6", "fd77:77::/64", "--host-loopback"]
    found, _ = addresses(*options)
    expect_equal(found["tun0"], ["192.168.77.100/24", "fd77:77::100/64"])
    with NameServer({(NAME, "A"): [SERVER4], (NAME, "AAAA"): [SERVER6]}), Server(echo) as server:
        expect_equal(sandbox.inside("echoed", NAME, server.port, "hello", options=options), "hello")
    expect_equal(sandbox.inside("resolve", "host.nsrun.internal", options=options),
                 ["192.168.77.2", "fd77:77::2"])
    with Server(echo, "127.0.0.1") as server, Server(echo, "::1", server.port):
        for gateway in ("192.168.77.2", "fd77:77::2"):
            expect_equal(sandbox.inside("echoed", gateway, server.port, "hello", options=options), "hello",
                         gateway)


@test("--no-ipv6 leaves IPv4 alone, and programs fall back to it at once")
def _():
    found, _ = addresses("--no-ipv6")
    expect_equal(found["tun0"], ["10.0.2.100/24"])
    with NameServer({(NAME, "A"): [SERVER4], (NAME, "AAAA"): [SERVER6]}), Server(echo) as server:
        expect_equal(sandbox.inside("echoed", NAME, server.port, "hello", options=["--no-ipv6"]), "hello")
        seen, seconds = sandbox.inside("connect_error", SERVER6, server.port, options=["--no-ipv6"])
    expect(seen in ("ENETUNREACH", "EADDRNOTAVAIL"), seen)
    expect(seconds < 0.5, f"only after {seconds:.2f} s")


@test("--mtu is the device's")
def _():
    for mtu in (1280, 1500, 9000, 65520):
        expect_equal(addresses("--mtu", str(mtu))[1], mtu)


@test("a command without privileges may serve on port 80 and ping its loopback")
def _():
    script = "import socket; socket.create_server(('0.0.0.0', 80)); print('served')"
    expect_equal(sandbox.run(*sandbox.PYTHON, "-c", script).strip(), "served")
    sandbox.run("ping", "-n", "-c", "1", "-W", "2", "127.0.0.1")


@test("two programs of the sandbox reach each other by its addresses")
def _():
    with sandbox.start_shell() as shell:
        serve = " ".join([*sandbox.PYTHON, sandbox.GUEST, "serve", "'[\"::\", [80], []]'"])
        shell.say(f"mkfifo held ready; {serve} <held >ready & exec 4>held; read line <ready; echo $line")
        shell.wait_for("ready\n")
        for host in ("127.0.0.1", "10.0.2.100", "::1", "fd00::100"):
            ask = " ".join([*sandbox.PYTHON, sandbox.GUEST, "ask", f"'[\"{host}\", 80, \"hello\"]'"])
            expect_equal(json.loads(shell.ask(ask))[1], "hello", host)
        shell.say("exec 4>&-; rm held ready; exit")
        expect_equal(shell.status(), 0)


def cpu_ticks(running):
    with open(f"/proc/{running.pid}/stat") as file:
        return sum(map(int, file.read().rsplit(") ", 1)[1].split()[11:13]))  # user and system time, proc(5)


@test("a guest that is root may take its device down, up again and away; nsrun stays, and idle")
def _():
    with Server(echo) as server, sandbox.start_shell(options=["--map-root"]) as shell:
        ask = " ".join([*sandbox.PYTHON, sandbox.GUEST, "connect_error",
                        f"'[\"{server.host}\", {server.port}, 3]'"])
        shell.ask("ip link set tun0 down")
        expect_equal(json.loads(shell.ask(ask))[0], "ENETUNREACH", "down")
        shell.ask("ip link set tun0 up; ip route add default via 10.0.2.2")
        expect_equal(json.loads(shell.ask(ask))[0], None, "up again")
        shell.ask("ip link del tun0")
        expect_equal(json.loads(shell.ask(ask))[0], "ENETUNREACH", "removed")
        before = cpu_ticks(shell)
        shell.until_idle()
        expect(cpu_ticks(shell) - before < 20, "nsrun is busy without a device")
        shell.say("exit 3")
        expect_equal(shell.status(), 3)
