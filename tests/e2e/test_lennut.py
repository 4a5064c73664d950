"""nsrun lennut: a plain reverse tunnel, each end against its like and against a peer from the specification.

    client ──► :3000  server  :3001 ◄── client ──► target, 127.0.0.1
               └ nsrun, or support/lennut.py ┘
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from support import control, guest, lennut, sandbox
from support.servers import Server, count_and_tell, echo, listens
from support.theme import expect, expect_equal, test, until
from support.world import as_user

IN_A_WORLD = True

PROXY, CLIENTS = 3000, 3001
HERE = "127.0.0.1"


@contextlib.contextmanager
def server(*options):
    with sandbox.Running("lennut", "server", *options) as running:
        until(lambda: listens(PROXY) and listens(CLIENTS), what="the server")
        yield running


def client(target, *options, at=CLIENTS):
    return sandbox.Running("lennut", "client", "--server-addr", f"localhost:{at}", "--proxy-to",
                           f"localhost:{target}", *options)


def ask(text, port=PROXY):
    """What comes back of a text, to the end."""
    with socket.create_connection((HERE, port), 20) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


POOLED = 8  # descriptors: pipes that a process keeps open when no stream needs them


def descriptors(running):
    return len(os.listdir(f"/proc/{running.pid}/fd"))


@test("streams are carried byte for byte, both ways, with half-closes")
def _():
    with Server(count_and_tell, HERE) as target, server(), client(target.port):
        for size in (0, 1, 8, 65536, 20_000_000):
            sent, told = guest.upload(HERE, PROXY, size)
            expect_equal(told, f"{size} {sent}")
    with Server(lambda far: guest.send_stream(far, 20_000_000), HERE) as source, server(), client(source.port):
        seen = guest.download(HERE, PROXY)
        expect_equal(seen, [20_000_000, source.result()])


@test("the original's words work, and a link named lennut is lennut")
def _():
    os.symlink(sandbox.NSRUN, "lennut")
    with Server(echo, HERE) as target:
        words = [["./lennut", "-server", "-bind-proxy", f"{HERE}:{PROXY}", "-bind-client", f":{CLIENTS}"],
                 ["./lennut", "-server-addr", f"localhost:{CLIENTS}", "-proxy-to", f"localhost:{target.port}"]]
        both = [subprocess.Popen([*as_user(), *one]) for one in words]
        until(lambda: listens(PROXY), what="the server")
        expect_equal(ask(b"hello"), b"hello")
        for one in both:
            one.terminate()
            expect_equal(one.wait(10), 0)


@test("one connection waits, up to eight once they are used, and the header comes from any server, in pieces")
def _():
    with lennut.Peer() as peer, Server(echo, HERE) as target:
        with client(target.port, at=peer.clients_port) as running:
            expect(peer.await_clients(1), "none")
            # An original server gives a connection to each that waits, dead or alive: a second would be lost at a restart.
            expect(not peer.await_clients(2, 0.5), "more than one before any is used")
            before = descriptors(running)
            expect_equal([ask(b"%d" % n, peer.port) for n in range(2)], [b"%d" % n for n in range(2)])
            until(lambda: peer.waiting() >= 1, what="one again")
            with ThreadPoolExecutor(20) as crowd:
                expect_equal(list(crowd.map(lambda n: ask(b"%d" % n, peer.port), range(60))), [b"%d" % n for n in range(60)])
            until(lambda: peer.waiting() == 8 and descriptors(running) <= before + 7 + POOLED, what="eight")


@test("an empty host is localhost, a port may be a service's name, and defaults are for both families")
def _():
    with Server(echo, HERE, 8080) as target, server(), sandbox.Running(
            "lennut", "client", "--server-addr", ":3001", "--proxy-to", ":http-alt"):
        expect_equal(target.port, 8080)
        for host in (HERE, "::1"):
            with socket.create_connection((host, 3000), 20) as connection:
                connection.sendall(b"hello")
                expect_equal(connection.recv(100), b"hello")


@test("a server writes the header and the stream to any client, the one that waits longest")
def _():
    with Server(echo, HERE) as target, server():
        waiting = [lennut.connect_and_wait(CLIENTS) for _ in range(3)]
        waiting.pop(1).close()
        for one in waiting:
            threading.Thread(target=lennut.carry, args=(one, target.port), daemon=True).start()
            expect_equal(ask(b"hello"), b"hello")


@test("128 clients wait; a 129th is closed at once, and the others are served")
def _():
    with server() as running:
        before = descriptors(running)
        waiting = [lennut.connect_and_wait(CLIENTS) for _ in range(128)]
        until(lambda: descriptors(running) == before + 128, what="128 clients")
        with lennut.connect_and_wait(CLIENTS) as further:
            expect_equal(further.recv(100), b"")
        with socket.create_connection((HERE, PROXY), 10) as outside:
            expect_equal(waiting[0].recv(100), b"lennet01")
            outside.sendall(b"x")
            expect_equal(waiting[0].recv(100), b"x")
        for one in waiting:
            one.close()
        until(lambda: descriptors(running) <= before + POOLED, what="that all are gone")


@test("a burst finds clients, and those that come first are not lost to those that come later")
def _():
    with Server(echo, HERE) as target, server("--hold", "30s"), client(target.port):
        connections = [socket.create_connection((HERE, PROXY), 30) for _ in range(300)]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number)
            connection.shutdown(socket.SHUT_WR)
        for number, connection in enumerate(connections):
            with connection:
                expect_equal(connection.makefile("rb").read(), b"%d" % number)


@test("a connection waits for a client that comes late, and is closed when none comes")
def _():
    with Server(echo, HERE) as target, server("--hold", "20s") as running:
        with socket.create_connection((HERE, PROXY), 20) as early:
            early.sendall(b"early")
            early.shutdown(socket.SHUT_WR)
            with client(target.port):
                expect_equal(early.makefile("rb").read(), b"early")
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 0)
    with server("--hold", "50ms"):
        with socket.create_connection((HERE, PROXY), 20) as alone:
            try:
                expect_equal(alone.recv(1), b"")
            except ConnectionResetError:
                pass


@test("what the client cannot connect is closed at once")
def _():
    with socket.socket() as closed:
        closed.bind((HERE, 0))
        with server(), client(closed.getsockname()[1]):
            expect(guest.connect_error(HERE, PROXY)[0] is None, "no server")
            try:
                expect_equal(ask(b"hello"), b"")
            except ConnectionError:
                pass


@test("a place in use is an error with its name and status 1, a wrong word one with status 2")
def _():
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        taken.listen()
        place = f"{HERE}:{taken.getsockname()[1]}"
        done = sandbox.nsrun("lennut", "server", "--bind-client", place)
        expect_equal(done.returncode, 1)
        expect(place in done.stderr and done.stderr.count("\n") == 1, done.stderr)
    for words in (["neither"], ["client", "--idle", "0"], ["client", "--proxy-to", "nothing"],
                  ["server", "--hold", "x"], ["server", "--no-such"], ["client", "-server"]):
        done = sandbox.nsrun("lennut", *words)
        expect_equal(done.returncode, 2, words)
        expect(done.stderr.count("\n") == 1, done.stderr)


@test("SIGTERM lets a stream end by itself, and ends both with status 0")
def _():
    with Server(echo, HERE) as target, server() as one, client(target.port) as other:
        with socket.create_connection((HERE, PROXY), 10) as connection:
            connection.sendall(b"before")
            expect_equal(connection.recv(100), b"before")
            for running in (one, other):
                running.signal(signal.SIGTERM)
            until(lambda: not listens(PROXY), what="the end of the listener")
            connection.sendall(b"after")
            expect_equal(connection.recv(100), b"after")
        expect_equal((one.status(), other.status()), (0, 0))


@test("each end writes down who was connected to what, and is asked about its flows")
def _():
    with Server(echo, HERE) as target:
        with server("--log", "server.log", "--control", "server.sock") as one, \
                client(target.port, "--log", "client.log"):
            with socket.create_connection((HERE, PROXY), 10) as connection:
                connection.sendall(b"hello")
                expect_equal(connection.recv(100), b"hello")
                (flow,) = control.asked(one, "flows", path="server.sock")["flows"]
                expect_equal((flow["rule"], flow["bytes_up"], flow["end"]), ("lennut", 5, "open"))
            until(lambda: os.path.getsize("server.log") and os.path.getsize("client.log"), what="the records")
        (at_server,), (at_client,) = ([json.loads(line) for line in open(f"{end}.log")]
                                      for end in ("server", "client"))
        expect_equal((at_server["bytes_up"], at_server["bytes_down"], at_server["rule"]), (5, 5, "lennut"))
        expect(at_client["dialled"].endswith(f":{target.port}"), at_client)


@test("either end is killed and comes back under load: no foreign byte, and nothing is left open")
def _():
    over, foreign, whole = threading.Event(), [], [0]

    def load(letter):
        text = letter * 50_000
        while not over.is_set():
            with contextlib.suppress(OSError):
                with socket.create_connection((HERE, PROXY), 10) as connection:
                    connection.sendall(text)
                    connection.shutdown(socket.SHUT_WR)
                    seen = connection.makefile("rb").read()
                    foreign.extend(set(seen) - set(letter))
                    whole[0] += seen == text

    with Server(echo, HERE) as target, contextlib.ExitStack() as stack:
        ends = [stack.enter_context(server()), stack.enter_context(client(target.port))]
        threads = [threading.Thread(target=load, args=(bytes([ord("a") + n]),)) for n in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                had = whole[0]
                until(lambda: whole[0] > had + 5, 20, "that it works")
                which = random.randrange(2)
                ends[which].signal(signal.SIGKILL)
                ends[which].status()
                ends[which] = stack.enter_context(client(target.port) if which else server())
        finally:
            over.set()
            for thread in threads:
                thread.join()
        expect_equal(foreign, [])
        # Eight that wait, at either end; the rest is of the process.
        until(lambda: max(map(descriptors, ends)) < 30, what="that nothing is left")
        return f"{whole[0]} streams were whole"
