"""Ways around the rules, tried from inside by a guest that may be root there. Each is tried without the rules
too, where it has to work: so that it is the rules that stop it.

    sandbox                                world
    hostile.py ──── nsrun ──✗── 192.0.2.20, 2001:db8::20, 127.0.0.1, 169.254.169.254    not to be met
                       │
                       └──────► 192.0.2.10   good.example.test, the one name allowed
"""
import contextlib
import select
import socket
import struct

from support import hostile, sandbox
from support.attempts import attempt, command, records_in
from support.dns import NameServer
from support.servers import Server, echo
from support.theme import expect, expect_equal, test, until
from support.tls import TlsServer
from support.world import CLIENT4, CLIENT6, OTHER_RESOLVER4, SERVER4, SERVER6, ip

IN_A_WORLD = True
GOOD, EVIL = "good.example.test", "evil.example.test"
TABLE = {(GOOD, "A"): [SERVER4], (EVIL, "A"): [CLIENT4], (EVIL, "TXT"): ["a secret"]}
ONLY_GOOD = ["--allow", GOOD]
METADATA4 = "169.254.169.254"
A, TXT, HTTPS, ANY = 1, 16, 65, 255  # record types
UDP, HOP_BY_HOP, ROUTING = 17, 0, 43  # protocol numbers


class Door:
    """TCP servers on one port of several addresses; `met`: where somebody came in."""

    def __init__(self, *hosts):
        self.met, self._servers = [], []
        port = 0
        for host in hosts:
            self._servers.append(Server(lambda connection, host=host: self.met.append(host), host, port))
            port = self._servers[-1].port
        self.port = port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.__exit__()


class Datagrams:
    """UDP sockets on one port of several addresses."""

    def __init__(self, *hosts, port=5353):
        self._sockets = {}
        for host in hosts:
            server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((host, port))
            server.setblocking(False)
            self._sockets[server] = host

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self._sockets:
            server.close()

    def waiting(self):
        """What has come: (host, datagram)"""
        found = []
        for server, host in self._sockets.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append((host, server.recv(70000)))
        return found

    def up_to_last(self, seconds=10):
        """All that came before b"last" did: nsrun passes packets on in their order"""
        found = []
        while b"last" not in (datagram for _, datagram in found):
            expect(select.select(list(self._sockets), [], [], seconds)[0], "the last packet did not come")
            found += self.waiting()
        return [(host, datagram) for host, datagram in found + self.waiting() if datagram != b"last"]


def packets_reach(packets, seen, last, options=()):
    """Sends packets and then one that must arrive; the datagrams that came."""
    words = [packet.hex() for packet in [*packets, last]]
    with sandbox.start(*command("send_packets", words), options=["--map-root", *options]) as running:
        running.wait_for("ready\n")
        return seen.up_to_last()


def last_to(host):
    return hostile.ipv4(host, UDP, hostile.udp4(4999, host, 5353, b"last"), identification=999)


# ---- addresses

FORMS_OF_CLIENT4 = ["192.0.2.20", "::ffff:192.0.2.20", "::ffff:c000:214", "192.0.532", "0xc0000214",
                    "3221226004", "0300.0.02.024", "192.0.2.20."]


@test("an address, in whatever form, is not reached past a list of names")
def _():
    with NameServer(TABLE), Door(CLIENT4, CLIENT6) as door:
        hosts = [*FORMS_OF_CLIENT4, CLIENT6, "64:ff9b::192.0.2.20", "2002:c000:214::1", "::192.0.2.20"]
        expect_equal(attempt("connect_all", FORMS_OF_CLIENT4[:3], door.port)[0], [None] * 3, "without rules")
        until(lambda: len(door.met) == 3)
        door.met.clear()
        for options in (ONLY_GOOD, ONLY_GOOD + ["--map-root"], ONLY_GOOD + ["--accelerate"]):
            seen, _ = attempt("connect_all", hosts, door.port, options=options)
            expect(None not in seen, list(zip(hosts, seen)))
        expect_equal(door.met, [])


@test("a rule about an IPv4 address holds for its IPv6 forms, and the other way about")
def _():
    with Door(CLIENT4, SERVER4) as door:
        hosts = [*FORMS_OF_CLIENT4[:6], SERVER4]
        for rejected in (CLIENT4, f"::ffff:{CLIENT4}", "::ffff:192.0.2.16/124"):
            for more in ([], ["--accelerate"]):
                seen, _ = attempt("connect_all", hosts, door.port, options=["--reject", rejected, *more])
                expect_equal(seen, ["ECONNREFUSED"] * 6 + [None], rejected)
        until(lambda: len(door.met) == 6)
        expect_equal(set(door.met), {SERVER4})


@test("an IPv6 packet to an IPv4-mapped address leads nowhere")
def _():
    def packet(host, word):
        return hostile.ipv6(host, UDP, hostile.udp6(host, 5000, 5353, word))

    packets = [packet(f"::ffff:{CLIENT4}", b"mapped"), packet(f"::ffff:{SERVER4}", b"mapped"),
               packet(SERVER6, b"plain")]
    with Datagrams(SERVER4, SERVER6, CLIENT4) as seen:
        for rules in ([], ["--reject", CLIENT4], ["--allow", SERVER4, "--allow", SERVER6]):
            expect_equal(packets_reach(packets, seen, last_to(SERVER4), rules), [(SERVER6, b"plain")], rules)


@test("the host's loopback has no form that leads there")
def _():
    hosts = ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1",
             "::1", "0.0.0.0", "0", "::", "localhost", "localhost.", "LOCALHOST", "x.localhost", "10.0.2.2", "fd00::2",
             "host.nsrun.internal", "64:ff9b::7f00:1", "::127.0.0.1", "198.18.0.0", "fd6e:7372:756e::"]
    with NameServer(TABLE), Door("127.0.0.1", "::1") as door:
        expect_equal(attempt("connect_all", ["10.0.2.2", "fd00::2"], door.port, options=["--host-loopback"])[0],
                     [None, None], "where it is asked for")
        until(lambda: len(door.met) == 2)
        door.met.clear()
        for options in ([], ONLY_GOOD, ["--allow", "0.0.0.0/0", "--allow", "::/0"], ["--default=allow"],
                        ["--allow", "*", "--accelerate"]):
            seen, _ = attempt("connect_all", hosts, door.port, options=options)
            expect(None not in seen, options, list(zip(hosts, seen)))
        expect_equal(door.met, [])


# ---- names

def wire(*labels):
    return "".join(f"{len(label):02x}" + label.hex() for label in labels) + "00"


@test("a name with odd bytes is no other name's, and is not asked about outside")
def _():
    odd = [wire(b"good.example.test\0", b"evil"), wire(b"good.example.test"),
           wire(b"good", b"example", b"test\0"), wire(b"go\x01od", b"example", b"test"), wire(b"good ", b"example", b"test"),
           wire(b"good", b"example", b"test", b"evil"), wire(b"evil", b"good", b"example", b"test"),
           wire(b"g\xc3\xb6od", b"example", b"test"), wire(b"xn--good", b"example", b"test"), wire(b"127.1"),
           wire(b"0x7f", b"1"), wire(b"goodexample", b"test"), "00"]
    with NameServer(TABLE) as names:
        for tcp in (False, True):
            questions = [(name, A) for name in odd]
            seen, _ = attempt("ask_name_server", "10.0.2.3", questions, tcp, options=ONLY_GOOD)
            expect_equal(seen, [[3, 0]] * len(odd))
            seen, _ = attempt("ask_name_server", "10.0.2.3", [(wire(b"GOOD", b"Example", b"test"), A)], tcp,
                              options=ONLY_GOOD)
            expect_equal(seen, [[0, 1]])
        expect_equal(names.asked, [], "asked outside")
        attempt("ask_name_server", "10.0.2.3", [(wire(b"xn--good", b"example", b"test"), A)])
        expect_equal(len(names.asked), 1, "without rules")


@test("a question of any kind about a name that is not allowed stays here")
def _():
    evil = wire(b"a-secret", b"evil", b"example", b"test")
    questions = [(evil, kind) for kind in (A, TXT, ANY, HTTPS, 2, 5, 12, 15, 16, 28, 33, 64, 65280)]
    with NameServer(TABLE) as names:
        for server in ("10.0.2.3", "fd00::3"):
            seen, _ = attempt("ask_name_server", server, questions, options=ONLY_GOOD)
            expect_equal(seen, [[3, 0]] * len(questions))
        good = [(wire(b"good", b"example", b"test"), HTTPS)]
        seen, _ = attempt("ask_name_server", "10.0.2.3", good, options=ONLY_GOOD)
        expect_equal(seen, [[0, 0]], "HTTPS records, with hints and ECH")
        expect_equal(names.asked, [])
        attempt("ask_name_server", "10.0.2.3", questions)
        expect(len(names.asked) > 10, "without rules")


@test("other name servers are not reached: over UDP, TCP, TLS or HTTPS")
def _():
    question = [(wire(b"evil", b"example", b"test"), A)]
    with NameServer(TABLE), NameServer(TABLE, OTHER_RESOLVER4) as other, Door(CLIENT4) as door, \
            TlsServer(OTHER_RESOLVER4, 853) as dot, TlsServer(OTHER_RESOLVER4, 443) as doh:
        for tcp in (False, True):
            seen, _ = attempt("ask_name_server", OTHER_RESOLVER4, question, tcp)
            expect_equal(seen, [[0, 1]], "without rules")
        other.asked.clear()
        for options in (ONLY_GOOD, ONLY_GOOD + ["--accelerate"], ONLY_GOOD + ["--default=deny"]):
            for tcp in (False, True):
                seen, flows = attempt("ask_name_server", OTHER_RESOLVER4, question, tcp, options=options)
                expect(isinstance(seen[0], str), seen)
                expect(all(flow["verdict"] != "allow" for flow in flows), flows)
        for port in (853, 443):
            seen, _ = attempt("tls_talk", OTHER_RESOLVER4, port, GOOD, options=ONLY_GOOD)
            expect_equal(seen, "ECONNREFUSED")
        expect_equal((other.asked, dot.hellos, doh.hellos), ([], [], []))


@test("a name that comes to mean another address leads to none that is not allowed")
def _():
    addresses = [SERVER4]
    ip(f"address add {METADATA4}/32 dev lo")
    with NameServer({(GOOD, "A"): addresses}), Door(SERVER4, "127.0.0.1", METADATA4, CLIENT4) as door:
        def seen_with(options):
            return attempt("connect_all", [GOOD], door.port, options=options)

        for address in ("127.0.0.1", METADATA4, "0.0.0.0", "224.0.0.1"):
            for options in (ONLY_GOOD, ["--allow", "*"], [], ["--allow", GOOD, "--accelerate"]):
                addresses[:] = [SERVER4]
                expect_equal(seen_with(options)[0], [None], "at first")
                addresses[:] = [address]
                seen, flows = seen_with(options)
                expect(seen != [None], address, options)
                if options[:1] == ["--allow"] and options[1] == GOOD:
                    refused = next(flow for flow in flows if flow["protocol"] == "tcp")
                    expect_equal((refused["name"], refused["verdict"]), (GOOD, "reject"))
        # A forbidden one beside a good one is passed over; what a rule denies is denied by any name.
        addresses[:] = ["127.0.0.1", METADATA4, SERVER4]
        expect_equal(seen_with(ONLY_GOOD)[0], [None])
        addresses[:] = [CLIENT4]
        expect_equal(seen_with(ONLY_GOOD)[0], [None], "where no rule is about the address")
        until(lambda: CLIENT4 in door.met)
        door.met[:] = [host for host in door.met if host != CLIENT4]
        seen, _ = seen_with(["--deny", CLIENT4, *ONLY_GOOD])
        expect(seen != [None], "a denied address was reached by its name")
        expect_equal(set(door.met), {SERVER4})


@test("in one sandbox, a name is looked up anew for each connection, and checked each time")
def _():
    addresses = [SERVER4]
    with NameServer({(GOOD, "A"): addresses}) as names, Door(SERVER4, "127.0.0.1") as door:
        with sandbox.start_shell(options=ONLY_GOOD) as shell:
            line = " ".join(f"'{word}'" for word in command("connect_all", [GOOD], door.port))
            expect_equal(shell.ask(line), "[null]")
            addresses[:] = ["127.0.0.1"]
            expect(shell.ask(line) != "[null]")
        expect_equal(set(door.met), {SERVER4})
        expect(len(names.asked) >= 2, names.asked)


@test("a proxy inside the sandbox gets no further than its user")
def _():
    with NameServer(TABLE), Server(echo, CLIENT4) as server, Server(echo, SERVER4, server.port):
        expect_equal(attempt("through_own_relay", "127.0.0.1", server.port, EVIL)[0], ["200", "word"])
        expect_equal(attempt("through_own_relay", "127.0.0.1", server.port, GOOD, options=ONLY_GOOD)[0],
                     ["200", "word"])
        for name in (EVIL, CLIENT4):
            expect_equal(attempt("through_own_relay", "127.0.0.1", server.port, name, options=ONLY_GOOD)[0],
                         ["502", ""], name)


# ---- packets

@test("a datagram in fragments is judged by what it is when whole")
def _():
    def fragments(host, word, identification):
        datagram = hostile.udp4(5000, host, 5353, word)
        return [hostile.ipv4(host, UDP, datagram[:8], identification, more=True),
                hostile.ipv4(host, UDP, datagram[8:], identification, offset=8)]

    with Datagrams(SERVER4, CLIENT4) as seen:
        packets = fragments(CLIENT4, b"one", 1) + fragments(CLIENT4, b"two", 2)[::-1]
        packets += fragments(SERVER4, b"good", 3)
        everything = {(CLIENT4, b"one"), (CLIENT4, b"two"), (SERVER4, b"good")}
        expect_equal(set(packets_reach(packets, seen, last_to(SERVER4))), everything, "without rules")
        for rules in (["--allow", SERVER4], ["--deny", CLIENT4]):
            expect_equal(packets_reach(packets, seen, last_to(SERVER4), rules), [(SERVER4, b"good")], rules)


@test("a fragment that would rewrite another's port is the end of both")
def _():
    whole = hostile.udp4(5000, SERVER4, 5353, b"overlap!")
    other_port = struct.pack("!HHHH", 5000, 5354, 16, 0)
    packets = [hostile.ipv4(SERVER4, UDP, whole[:8], 7, more=True),
               hostile.ipv4(SERVER4, UDP, other_port, 7, more=True),
               hostile.ipv4(SERVER4, UDP, whole[8:], 7, offset=8)]
    with Datagrams(SERVER4) as allowed, Datagrams(SERVER4, port=5354) as denied:
        found = packets_reach([packets[0], packets[2]], allowed, last_to(SERVER4))
        expect_equal(found, [(SERVER4, b"overlap!")])
        packets_reach(packets, allowed, last_to(SERVER4), ["--allow", f"{SERVER4}:5353"])
        expect_equal(denied.waiting(), [], "at the denied port")


@test("a source route leads nowhere, over IPv4 and IPv6; other options and headers do no harm")
def _():
    def with_option(option, word):
        return hostile.ipv4(SERVER4, UDP, hostile.udp4(5000, SERVER4, 5353, word), options=option)

    def with_header(number, header, final, word):
        return hostile.ipv6(SERVER6, number, bytes([UDP]) + header + hostile.udp6(final, 5000, 5353, word))

    def routed6(kind):
        header = bytes([2, kind, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, CLIENT6)
        return with_header(ROUTING, header, CLIENT6, b"routed")

    packets = [with_option(bytes([kind, 7, 4]) + socket.inet_aton(CLIENT4) + b"\0", b"routed")
               for kind in (131, 137)]
    packets += [routed6(kind) for kind in (0, 2, 4)]
    packets += [with_option(b"\1\1\1\0", b"padded"),
                with_header(HOP_BY_HOP, b"\0\1\4" + bytes(4), SERVER6, b"padded")]
    with Datagrams(SERVER4, SERVER6, CLIENT4, CLIENT6) as seen:
        for rules in ([], ["--allow", SERVER4, "--allow", SERVER6]):
            found = packets_reach(packets, seen, last_to(SERVER4), rules)
            expect_equal(sorted(found), [(SERVER4, b"padded"), (SERVER6, b"padded")], rules)


@test("echo requests carry nothing to an address that is not allowed")
def _():
    for options in (["--map-root"], ["--map-root", "--allow", SERVER4]):
        expect_equal(attempt("raw_ping", SERVER4, "word", options=options)[0], [0, "word"], options)
    for rules in (ONLY_GOOD, ["--allow", SERVER6], ["--allow", f"tcp/{SERVER4}"], ["--deny", SERVER4],
                  ["--reject", f"icmp/{SERVER4}"], ONLY_GOOD + ["--default=deny"]):
        with NameServer(TABLE):
            seen, flows = attempt("raw_ping", SERVER4, "word", options=["--map-root", *rules])
        expect(seen in ("timeout", "EHOSTUNREACH", "ECONNREFUSED") or seen[0] == 3, rules, seen)
        expect(flows and all(flow["verdict"] != "allow" for flow in flows), rules, flows)


# ---- the record

@test("under a list of what is allowed, every refused attempt is on record, with its name")
def _():
    def dug(options):
        targets = [GOOD, EVIL, CLIENT4, CLIENT6, METADATA4]
        done = sandbox.nsrun("--log", "-", *options, "--", *command("connect_all", targets, 80, 1))
        return {(flow["name"] or flow["peer"], flow["verdict"]) for flow in records_in(done.stderr)
                if flow["verdict"] != "allow"}

    with NameServer({**TABLE, (GOOD, "A"): ["127.0.0.1"]}):
        for default, verdict in (([], "reject"), (["--default=deny"], "deny")):
            seen = dug([*ONLY_GOOD, *default])
            expected = {(GOOD, "reject"), (EVIL, "reject"), (f"{CLIENT4}:80", verdict),
                        (f"[{CLIENT6}]:80", verdict), (f"{METADATA4}:80", verdict)}
            expect_equal(seen, expected)
