"""--dial: flows leave by a proxy or a unix socket instead.

    sandbox                     world
    guest.py ──── nsrun ───► proxy on 192.0.2.10 ───► 192.0.2.10     server
                        └──► unix socket
"""
import base64
import json
import os
import socket
import threading

from support import sandbox
from support.dns import NameServer
from support.proxies import HttpConnect, Socks5
from support.servers import Server, count_and_tell, datagram_echo, echo
from support.theme import expect, expect_equal, test
from support.world import SERVER4, SERVER6

MIB = 1 << 20
IN_A_WORLD = True
NAME = "inner.example.test"  # known to the proxies alone
NAMES = {NAME: SERVER4}


def echoed(url, host, port, text="through the proxy"):
    return sandbox.inside("echoed", host, port, text, options=["--dial", url]) == text


@test("socks5:// asks the proxy for addresses, IPv4 and IPv6")
def _():
    with Server(echo) as server, Server(echo, SERVER6, server.port), Socks5() as proxy:
        expect(echoed(f"socks5://{proxy.host}:{proxy.port}", SERVER4, server.port), "no echo over IPv4")
        expect(echoed(f"socks5://{proxy.host}:{proxy.port}", SERVER6, server.port), "no echo over IPv6")
    expect_equal(proxy.asked,
                 [("connect", "v4", SERVER4, server.port), ("connect", "v6", SERVER6, server.port)])


@test("socks5:// logs in with the URL's user and password, percent-decoded")
def _():
    with Server(echo) as server, Socks5(account=("user", "p@ss:word")) as proxy:
        expect(echoed(f"socks5://user:p%40ss%3Aword@{proxy.host}:{proxy.port}", SERVER4, server.port),
               "no echo")
        seen = sandbox.inside("connect_error", SERVER4, server.port, options=[
            "--dial", f"socks5://user:wrong@{proxy.host}:{proxy.port}"])
        expect(seen[0] is not None, "connected with a wrong password")
    expect_equal(proxy.logins, [("user", "p@ss:word"), ("user", "wrong")])


@test("socks5:// resolves names on this side, with the host's name servers")
def _():
    with NameServer({(NAME, "A"): [SERVER4]}), Server(echo) as server, Socks5() as proxy:
        expect(echoed(f"socks5://{proxy.host}:{proxy.port}", NAME, server.port), "no echo")
    expect_equal([kind for _, kind, _, _ in proxy.asked], ["v4"])


@test("socks5h:// lets the name reach the proxy, and no name server is asked")
def _():
    with NameServer({}) as names, Server(echo) as server, Socks5(NAMES) as proxy:
        expect(echoed(f"socks5h://{proxy.host}:{proxy.port}", NAME, server.port), "no echo")
    expect_equal(proxy.asked, [("connect", "name", NAME, server.port)])
    expect_equal(names.asked, [], "asked of the name server")


@test("socks5:// carries datagrams")
def _():
    with datagram_echo() as port, Socks5() as proxy:
        seen = sandbox.inside("echo_datagrams", SERVER4, port, [1, 1400, 9000],
                              options=["--dial", f"socks5://{proxy.host}:{proxy.port}"])
    expect_equal(seen, [True] * 3)
    expect_equal([command for command, *_ in proxy.asked], ["associate"])


@test("what the SOCKS proxy says of the target is what the guest sees")
def _():
    with Socks5() as proxy:
        seen = sandbox.inside("connect_errors", [(SERVER4, 9), ("192.88.99.9", 80)],
                              options=["--dial", f"socks5://{proxy.host}:{proxy.port}"])
    expect_equal(seen, ["ECONNREFUSED", "EHOSTUNREACH"])


@test("http:// tunnels with CONNECT and logs in; the name reaches the proxy")
def _():
    with NameServer({}) as names, Server(echo) as server, HttpConnect(NAMES) as proxy:
        expect(echoed(f"http://user:secret@{proxy.host}:{proxy.port}", NAME, server.port), "no echo")
        expect(echoed(f"http://user:secret@{proxy.host}:{proxy.port}", SERVER4, server.port),
               "no echo by address")
    expect_equal(proxy.asked, [("CONNECT", f"{NAME}:{server.port}"), ("CONNECT", f"{SERVER4}:{server.port}")])
    expect_equal(set(proxy.logins), {"Basic " + base64.b64encode(b"user:secret").decode()})
    expect_equal(names.asked, [], "asked of the name server")


@test("a large transfer through each proxy arrives whole, half-close included")
def _():
    for proxy, scheme in ((Socks5(), "socks5"), (HttpConnect(), "http")):
        with Server(count_and_tell) as server, proxy:
            sent, answer = sandbox.inside("upload", SERVER4, server.port, 50 * MIB,
                                          options=["--dial", f"{scheme}://{proxy.host}:{proxy.port}"])
        expect_equal(answer, f"{50 * MIB} {sent}", scheme)


@test("datagrams and pings that a proxy cannot carry are refused, not lost")
def _():
    with HttpConnect() as proxy:
        seen = sandbox.inside("datagram_error", SERVER4, 9, True,
                              options=["--dial", f"http://{proxy.host}:{proxy.port}"])
    expect_equal(seen, "EHOSTUNREACH")


@test("a proxy that is not there fails the guest's connect, at once")
def _():
    seen, seconds = sandbox.inside("connect_error", SERVER4, 80, options=["--dial", f"socks5://{SERVER4}:9"])
    expect(seen is not None and seen != "timeout", seen)
    expect(seconds < 1, f"only after {seconds:.2f} s")


@test("unix:// leads every flow to one socket")
def _():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("door")
    listener.listen(10)

    def serve():
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                echo(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = "unix://" + os.path.abspath("door")
    expect(echoed(url, SERVER4, 1), "no echo")
    expect(echoed(url, "any.name.at.all", 2), "no echo by name")
    thread.join(5)
    listener.close()


@test("a URL that cannot be is an error of usage, in one line")
def _():
    for url in ("nonsense", "ftp://x", "socks5://", "socks5://h:0", "socks5://h:70000", "socks5://h:99999", "http://h/path",
                "unix://", "direct://host", "socks5://h?q", ""):
        done = sandbox.nsrun("--dial", url, "--", "true")
        expect_equal(done.returncode, 2, f"status for {url!r}")
        expect(done.stderr.startswith("nsrun: ") and done.stderr.count("\n") == 1, url, done.stderr)


@test("a proxy that is down is told of once, and its flows are refused")
def _():
    done = sandbox.nsrun("--dial", "socks5://127.0.0.1:9", "--",
                         *sandbox.guest_command("connect_errors", [[SERVER4, 80], [SERVER4, 80]]))
    expect_equal(json.loads(done.stdout), ["ECONNREFUSED", "ECONNREFUSED"])
    expect_equal(done.stderr.count("is the proxy running"), 1, done.stderr)


@test("the command cannot read the proxy's password from nsrun's processes")
def _():
    with Socks5(account=("user", "hidden-word")) as proxy:
        url = f"socks5://user:hidden-word@{proxy.host}:{proxy.port}"
        replaced = "socks5://user:hidden-word@127.0.0.1:1"
        for words in (["--dial", url], [f"--dial={url}", "--pid"], ["--dial", replaced, f"--dial={url}"],
                      ["--dial", replaced, "--dial", replaced, "--dial", url]):
            seen = sandbox.run("sh", "-c", "cat /proc/[0-9]*/cmdline", options=words)
            expect("socks5://" in seen and "hidden-word" not in seen, seen)
        script = "for file in environ mem; do cat /proc/1/$file 2>&1; done"
        seen = sandbox.run("sh", "-c", f"{script}; true", options=["--pid", "--dial", url])
        expect_equal(seen.count("ermission denied"), 2, f"environ and mem: {seen!r}")
