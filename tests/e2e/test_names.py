"""Names: the guest asks 10.0.2.3, which asks whoever the host's /etc/resolv.conf names.

    sandbox                              world
    dig ──► 10.0.2.3:53 ── nsrun ───► 192.0.2.53:53, and after a change of /etc/resolv.conf 192.0.2.54:53
            fd00::3:53
"""
import os
import shutil

from support import sandbox
from support.dns import NameServer
from support.theme import expect, expect_equal, need, test, until
from support.world import CLIENT4, OTHER_RESOLVER4, RESOLVER4, SERVER4, SERVER6, SILENT4, set_resolvers, write

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


@test("a name server that is silent costs the first question a second, and the next nothing")
def _():
    set_resolvers(SILENT4, RESOLVER4)
    try:
        with NameServer(TABLE):
            seen = dig("+short", "+time=4", "www.example.test", "www.example.test")
    finally:
        set_resolvers(RESOLVER4)
    expect_equal(seen.split(), [SERVER4, SERVER4])


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


def replace_by_rename(text):
    write("etc/new", text)
    os.rename("etc/new", "etc/resolv.conf")


def replace_by_link(_):
    os.symlink("stub", "etc/new")
    os.rename("etc/new", "etc/resolv.conf")


def replace_what_the_link_names(text):
    write("etc/new", text)
    os.rename("etc/new", "etc/stub")


def move_away_and_write(text):
    os.rename("etc/resolv.conf", "etc/old")
    write("etc/resolv.conf", text)


@test("the sandbox's resolv.conf stays, however the host's file, a link at first, is replaced")
def _():
    os.mkdir("etc")
    for name in ("passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", "etc")
    write("etc/stub", "nameserver 127.0.0.53\n")
    os.symlink("stub", "etc/resolv.conf")
    # The folder becomes /etc for nsrun alone; it is the same folder that changes here.
    prefix = ["unshare", "--mount", "sh", "-c", "mount --bind etc /etc && exec \"$@\"", "sh"]
    with sandbox.start_shell(prefix=prefix) as shell:
        expect("nameserver 10.0.2.3\n" in shell.ask("cat /etc/resolv.conf"))
        for change in (replace_what_the_link_names, replace_by_rename, replace_by_link, move_away_and_write,
                       replace_by_rename):
            change("nameserver 127.0.0.54\n")
            until(lambda: "nameserver 10.0.2.3\n" in shell.ask("cat /etc/resolv.conf"), what=change.__name__)


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
