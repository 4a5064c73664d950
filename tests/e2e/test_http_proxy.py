"""The HTTP proxy of a tunnel's server: CONNECT and plain requests, to what clients of the tunnel offer and past it.

    curl ──► :9090 proxy ─┬─ offered ──► 127.0.0.1:9000 ── tunnel ── nsrun tunnel client ──► 192.0.2.130
                          └─ else ─────────────────────────────────────────────────────────► 192.0.2.130

Without rules the proxy leads to no address of its own machine, so the servers are on another one.
"""
import contextlib
import http.server
import json
import os
import socket
import subprocess
import threading

from support import sandbox
from support.servers import Server, echo, listens
from support.theme import Skip, expect, expect_equal, need, test, until
from support.world import NEIGHBOUR4, SERVER4, as_user, on_machine_of

IN_A_WORLD = True

HERE, PROXY, TUNNEL, OFFERED = "127.0.0.1", 9090, 3001, 9000


class _Telling(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked: the request line, the fields, the body."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = json.dumps({"line": self.requestline, "fields": dict(self.headers), "body": body.decode()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def telling(host=NEIGHBOUR4):
    """The port of a server that tells what it was asked."""
    with on_machine_of(host):
        server = http.server.ThreadingHTTPServer((host, 0), _Telling)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def proxy(*options):
    if sandbox.nsrun("tunnel", "--help").returncode != 0:
        raise Skip("this nsrun has no tunnel")
    with contextlib.suppress(FileNotFoundError):
        os.unlink("log")
    with sandbox.Running("tunnel", "server", "--port", str(TUNNEL), "--proxy", str(PROXY), "--log", "log",
                         *options) as running:
        until(lambda: listens(PROXY) and listens(TUNNEL), what="the proxy")
        yield running


@contextlib.contextmanager
def offering(place):
    with sandbox.Running("tunnel", "client", "--server", f"ws://{HERE}:{TUNNEL}/", "--forward",
                         f"{OFFERED}={place}") as client:
        until(lambda: listens(OFFERED), what="the tunnel")
        yield client


def curl(*words):
    """The status of each transfer, and the outputs of all."""
    done = subprocess.run([*as_user(), "curl", "-sS", "-m", "20", "-x", f"http://{HERE}:{PROXY}", *words],
                          capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    return done.returncode, done.stdout


@contextlib.contextmanager
def closed_port():
    """A port of the other machine at which nothing listens."""
    with on_machine_of(NEIGHBOUR4):
        bound = socket.socket()
    with bound:
        bound.bind((NEIGHBOUR4, 0))
        yield bound.getsockname()[1]


def raw(text, port=PROXY):
    """All that is answered to a text."""
    with socket.create_connection((HERE, port), 20) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def rules(count):
    """Which rules decided, in the order in which the flows through the proxy ended."""
    def lines():
        with open("log") as log:
            return [json.loads(line) for line in log]
    until(lambda: len([line for line in lines() if line["dialled"] or line["verdict"] != "allow"]) >= count,
          what="the record")
    return [line["rule"] for line in lines()]


@test("what a client of the tunnel offers is reached through it, by CONNECT and without")
def _():
    need("curl")
    with telling() as port, proxy():
        url = f"http://{NEIGHBOUR4}:{port}/a?b"
        for words in (("-p",), ()):
            with offering(f"{NEIGHBOUR4}:{port}"):
                status, told = curl(*words, url)
                expect_equal(status, 0)
                expect_equal(json.loads(told)["line"], "GET /a?b HTTP/1.1")
        expect("domain-map" in rules(2), rules(2))


@test("what was offered is not reached there any more once its client has gone")
def _():
    need("curl")
    with telling() as port, proxy():
        with offering(f"{NEIGHBOUR4}:{port}"):
            expect_equal(curl(f"http://{NEIGHBOUR4}:{port}/")[0], 0)
        until(lambda: not listens(OFFERED), what="the end of the offer")
        expect_equal(curl(f"http://{NEIGHBOUR4}:{port}/")[0], 0)
        expect_equal(sorted(rules(3)), ["default", "domain-map", "tunnel 9000"])  # whichever ended first


@test("a plain request arrives in origin form, without what is of one hop")
def _():
    need("curl")
    with telling() as port, proxy():
        status, told = curl("-d", "a body", "-H", "Connection: X-Secret", "-H", "X-Secret: 1", "-H", "TE: trailers",
                            "-U", "user:word", f"http://{NEIGHBOUR4}:{port}/x")
        expect_equal(status, 0)
        told = json.loads(told)
        expect_equal((told["line"], told["body"]), ("POST /x HTTP/1.1", "a body"))
        fields = {name.lower(): value for name, value in told["fields"].items()}
        expect_equal(fields["host"], f"{NEIGHBOUR4}:{port}")
        for name in ("x-secret", "te", "connection", "proxy-connection", "proxy-authorization"):
            expect(name not in fields, fields)


@test("requests of one client go to several hosts over one connection")
def _():
    need("curl")
    with telling() as one, telling() as other, proxy():
        status, told = curl("-w", "%{num_connects}\n", *(word for n in range(6) for word in (
            f"http://{NEIGHBOUR4}:{one if n % 2 else other}/{n}", "-o", f"answer{n}")))
        expect_equal((status, told.split()), (0, ["1", "0", "0", "0", "0", "0"]))
        expect_equal([json.load(open(f"answer{n}"))["line"] for n in range(6)],
                     [f"GET /{n} HTTP/1.1" for n in range(6)])


@test("a stream through CONNECT is what either end sent, early bytes and half-closes with it")
def _():
    with Server(echo, host=NEIGHBOUR4) as server, proxy():
        with socket.create_connection((HERE, PROXY), 20) as connection:
            connection.sendall(f"CONNECT {NEIGHBOUR4}:{server.port} HTTP/1.1\r\n\r\nearly".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            expect_equal(head, b"HTTP/1.1 200 Connection Established\r\n\r\n")
            connection.sendall(b" late")
            connection.shutdown(socket.SHUT_WR)
            expect_equal(connection.makefile("rb").read(), b"early late")


@test("what cannot be reached is a bad gateway, this machine's own ports too, and what is no request a bad one")
def _():
    with telling(HERE) as port, telling(SERVER4) as public, proxy(), closed_port() as closed:
        for target in (f"{NEIGHBOUR4}:{closed}", f"{HERE}:{port}", f"{SERVER4}:{public}", "no.such.example:80"):
            expect(raw(f"CONNECT {target} HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 502 Bad Gateway\r\n"), target)
            expect(raw(f"GET http://{target}/ HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 502 Bad Gateway\r\n"), target)
        for text in ("GET / HTTP/1.0\r\n\r\n", "GET ftp://x/ HTTP/1.1\r\n\r\n", "hello\r\n\r\n",
                     "GET http://x/ HTTP/1.1\r\nX: " + "x" * 70_000):
            expect(raw(text).startswith("HTTP/1.1 400 Bad Request\r\n"), text[:40])
