"""Names: the guest asks 10.0.2.3, which asks whoever the host's /etc/resolv.conf names.

    sandbox                              world
    dig ──► 10.0.2.3:53 ── nsrun ───► 192.0.2.53:53, and after a change of /etc/resolv.conf 192.0.2.54:53
            fd00::3:53
"""
from support import sandbox
from support.dns import NameServer
from support.theme import expect, expect_equal, need, test, until
from support.world import CLIENT4, OTHER_RESOLVER4, RESOLVER4, SERVER4, SERVER6, set_resolvers

IN_A_WORLD = True
LONG_TEXT = "a long text " * 100
TABLE = {
    ("www.example.test", "A"): [SERVER4],
    ("www.example.test", "AAAA"): [SERVER6],
    ("long.example.test", "TXT"): [LONG_TEXT],
}


def dig(*words):
    need("dig")
    return sandbox.run("dig", "+tries=1", "+time=3", *words).strip()


@test("dig is answered over UDP and TCP, on both of the name server's addresses")
def _():
    with NameServer(TABLE) as server:
        for transport in ("+notcp", "+tcp"):
            for address in ("10.0.2.3", "fd00::3"):
                expect_equal(dig("+short", transport, f"@{address}", "www.example.test"), SERVER4, address)
        expect_equal(dig("+short", "www.example.test", "AAAA"), SERVER6)
    expect_equal({transport for _, _, transport in server.asked}, {"udp", "tcp"}, "asked over")


@test("a long answer comes whole, by a second question over TCP")
def _():
    with NameServer(TABLE):
        answer = dig("+short", "+noedns", "long.example.test", "TXT")
    expect_equal(answer.replace('" "', "").strip('"'), LONG_TEXT)


@test("a name that does not exist is said not to")
def _():
    with NameServer(TABLE):
        expect("status: NXDOMAIN" in dig("nowhere.example.test"))


@test("the C library's resolver finds names, with both families")
def _():
    with NameServer(TABLE):
        expect_equal(sandbox.inside("resolve", "www.example.test"), sorted([SERVER4, SERVER6]))


@test("a change of the host's resolv.conf is followed while the sandbox runs")
def _():
    need("dig")
    question = "dig +short +tries=1 +time=3 www.example.test"
    with NameServer(TABLE), NameServer({("www.example.test", "A"): [CLIENT4]}, OTHER_RESOLVER4):
        with sandbox.start_shell() as shell:
            expect_equal(shell.ask(question), SERVER4)
            set_resolvers(OTHER_RESOLVER4)
            try:
                expect_equal(shell.ask(question), CLIENT4)
            finally:
                set_resolvers(RESOLVER4)


@test("a name server that is down is passed over for the next")
def _():
    set_resolvers(OTHER_RESOLVER4, RESOLVER4)
    try:
        with NameServer(TABLE):
            expect_equal(dig("+short", "+time=8", "www.example.test"), SERVER4)
    finally:
        set_resolvers(RESOLVER4)


@test("with no name server to reach, the guest is told of a failure instead of waiting")
def _():
    expect("status: SERVFAIL" in dig("+time=10", "www.example.test"))


@test("host.nsrun.internal is the gateway")
def _():
    expect_equal(sandbox.inside("resolve", "host.nsrun.internal"), ["10.0.2.2", "fd00::2"])


@test("the sandbox has a resolv.conf of its own, and the host's is untouched")
def _():
    before = open("/etc/resolv.conf").read()
    seen = sandbox.run("cat", "/etc/resolv.conf")
    expect("nameserver 10.0.2.3\n" in seen and RESOLVER4 not in seen, seen)
    expect_equal(open("/etc/resolv.conf").read(), before)
    expect_equal(sandbox.run("cat", "/etc/resolv.conf", options=["--no-resolv-conf"]), before)


@test("the resolv.conf names no IPv6 server in a sandbox without IPv6")
def _():
    seen = sandbox.run("cat", "/etc/resolv.conf", options=["--no-ipv6"])
    expect("10.0.2.3" in seen and "fd00" not in seen, seen)


@test("the other name servers of the world are asked by nobody behind the guest's back")
def _():
    with NameServer(TABLE) as server:
        dig("+short", "www.example.test")
        until(lambda: server.asked, what="a question")
    expect_equal(server.asked, [("www.example.test", "A", "udp")])
