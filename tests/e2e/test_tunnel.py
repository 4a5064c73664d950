"""The WebSocket tunnel, with itself and with a peer that was written from the specification.

    client of the port ──► nsrun tunnel server ◄── WebSocket ── nsrun tunnel client ──► echo, files
                                    ▲                                   │
                           a python client                     a python server
"""
import contextlib
import hashlib
import json
import os
import random
import select
import signal
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from support import guest, sandbox, tunnels
from support.servers import Server, count_and_tell, echo
from support.theme import expect, expect_equal, test, until
from support.tunnels import answers, both, client, free_port, server, until_free
from support.websocket import BINARY, JsonPeer, WebSocket, data_message
from support.world import NEIGHBOUR4, SERVER4, ip, on_machine_of

IN_A_WORLD = True
HOST = "127.0.0.1"


def echo_server():
    return Server(echo, HOST)


def python_client(port, **settings):
    return JsonPeer(WebSocket.connect(port, **settings))


class PythonServer:
    """A tunnel's server of which the test holds each client's end."""

    def __init__(self, host=HOST):
        self.peers = []
        self.host = host
        with on_machine_of(host):
            self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]

    def accept(self, seconds=20):
        self._listener.settimeout(seconds)
        connection, _ = self._listener.accept()
        peer = JsonPeer(WebSocket.accept(connection))
        self.peers.append(peer)
        return peer

    def start(self, *forwards, options=()):
        """nsrun's client, and our end of it; each forward is answered well."""
        words = [word for forward in forwards for word in ("--forward", forward)]
        running = sandbox.Running("tunnel", "client", "--server", f"ws://{self.host}:{self.port}/", *words, *options)
        return running, self.accept()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        for peer in self.peers:
            peer.websocket.close()


# ---- With itself.


@test("a port of the server leads to the client's target, in both wires")
def _():
    for options in ((), ("--json",)):
        port = free_port()
        with echo_server() as target, both(f"{port}={HOST}:{target.port}", client_options=options):
            expect(answers(port), options)
            expect(answers(port, "x" * 300_000), options)


@test("what is sent arrives whole, both ways at once, and a half-close is one")
def _():
    port = free_port()
    with Server(count_and_tell, HOST) as target, both(f"{port}={HOST}:{target.port}"):
        with socket.create_connection((HOST, port), 10) as connection:
            connection.settimeout(30)
            checksum = guest.send_stream(connection, 30_000_000)
            expect_equal(connection.recv(100).decode(), f"30000000 {checksum}")


@test("a target that refuses is a client that is refused, not one that hangs")
def _():
    port = free_port()
    with both(f"{port}={HOST}:{free_port()}"):
        with socket.create_connection((HOST, port), 5) as connection:
            connection.settimeout(5)
            try:
                expect_equal(connection.recv(1), b"")
            except ConnectionResetError:
                pass


@test("datagrams go through a tunnel, with their boundaries")
def _():
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.bind((HOST, 0))
        with both(f"{port}=udp://{HOST}:{target.getsockname()[1]}"), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(10)
            target.settimeout(10)
            asker.connect((HOST, port))
            for size in (1, 1400, 60_000):
                asker.send(bytes(size))
                data, peer = target.recvfrom(70_000)
                expect_equal(len(data), size)
                target.sendto(data[:7], peer)
                expect_equal(len(asker.recv(100)), min(size, 7))


@test("port 0 is any that is free, and is told")
def _():
    with echo_server() as target, server() as one:
        with tunnels.Tunnel("client", "--server", f"ws://{HOST}:{one.port}/", "--forward", f"0={HOST}:{target.port}") \
                as running:
            words = until(running.warnings, 10, "the port").split()
            expect(answers(int(words[words.index("port") + 1])), words)


@test("single dashes, and a link named vtunnel, do as the original did")
def _():
    os.symlink(sandbox.NSRUN, "vtunnel")
    port, at = free_port(), free_port()
    with echo_server() as target:
        one = subprocess.Popen(["./vtunnel", "server", "-port", str(at)])
        try:
            until(lambda: tunnels.is_taken(at), 10, "the server")
            other = subprocess.Popen(["./vtunnel", "client", "-server", f"ws://{HOST}:{at}/", "-forward",
                                      f"{port}={HOST}:{target.port}"])
            try:
                until(lambda: answers(port), 10, "the forward")
            finally:
                other.terminate()
                expect_equal(other.wait(10), 0, "the client's status")
        finally:
            one.terminate()
            expect_equal(one.wait(10), 0, "the server's status")


@test("usage errors end 1, wrong options 2, a server that is not there 1")
def _():
    expect_equal(sandbox.nsrun("tunnel").returncode, 1)
    expect_equal(sandbox.nsrun("tunnel", "sideways").returncode, 1)
    expect_equal(sandbox.nsrun("tunnel", "client").returncode, 1)
    expect_equal(sandbox.nsrun("tunnel", "client", "--nonsense").returncode, 2)
    expect_equal(sandbox.nsrun("tunnel", "server", "-nonsense").returncode, 2)
    done = sandbox.nsrun("tunnel", "client", "--server", f"ws://{HOST}:{free_port()}/", "--forward", "9000=localhost:1")
    expect_equal(done.returncode, 1)
    expect("cannot open the tunnel" in done.stderr, done.stderr)


@test("a port that is in use, or another client's, is reported and asked for again; the others work at once")
def _():
    port, other = free_port(), free_port()
    with echo_server() as target, both(f"{port}={HOST}:{target.port}") as (one, first):
        forwards = (f"{port}={HOST}:{target.port}", f"{other}={HOST}:{target.port}")
        with client(one.port, *forwards) as second:
            expect(answers(other), "the port that is free")
            expect(f"listen tcp 127.0.0.1:{port}: bind: address already in use" in second.warnings(), second.warnings())
            expect(answers(port), "the first client's port")
            first.signal(signal.SIGTERM)
            expect_equal(first.status(), 0)
            until(lambda: answers(port), 20, "the port, from the second client")


@test("all ports are asked for at once, of a server that never answers, too")
def _():
    with echo_server() as target, PythonServer() as one:
        running, peer = one.start(f"9000={HOST}:{target.port}", f"9001={HOST}:{target.port}")
        with running:
            expect_equal([json.loads(peer.hear())["port"] for _ in range(2)], [9000, 9001])
            peer.say('{"type":"connect","port":9001,"stream_id":1}')
            peer.say(data_message(1, b"hello"))
            expect_equal(peer.hear(), data_message(1, b"hello"))


@test("what a server says is shown without its escape sequences, on one line")
def _():
    with PythonServer() as one:
        running, peer = one.start("9000=localhost:1")
        with running:
            peer.hear()
            peer.say(json.dumps({"type": "listen_err", "port": 9000, "error": "\x1b[2Jno\r\nnsrun: forged \u009b1m"}))
            said = until(running.warnings, 10, "the refusal")
            expect(said.count("\n") == 1 and "?[2Jno??nsrun: forged ?1m" in said, said)


@test("a server that ends each session at once is not dialled again and again")
def _():
    with PythonServer() as one:
        running, peer = one.start("9000=localhost:1")
        with running:
            for _ in range(2):
                peer.hear()
                peer.say('{"type":"listen_ok","port":9000}')
                peer.websocket.close()
                peer = one.accept(10)
            peer.websocket.close()
            one._listener.settimeout(0.9)
            expect_equal(refused_by_timeout(one._listener), True, "a pause of two seconds")


def refused_by_timeout(listener):
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return True
    return False


# ---- The JSON wire, message by message.


@test("a client of the original's kind is served as the original serves it, byte for byte")
def _():
    port = free_port()
    with server() as one, python_client(one.port) as peer:
        expect("sec-websocket-protocol" not in peer.websocket.fields, peer.websocket.fields)
        peer.say('{"type":"listen","port":%d,"local_addr":"localhost:3000"}' % port)
        expect_equal(peer.hear(), '{"type":"listen_ok","port":%d}' % port)
        peer.say('{"type":"listen","port":%d,"local_addr":"localhost:3000"}' % port)
        expect_equal(peer.hear(), '{"type":"listen_ok","port":%d}' % port, "again")
        with socket.create_connection((HOST, port), 10) as asker:
            expect_equal(peer.hear(), '{"type":"connect","port":%d,"stream_id":1}' % port)
            asker.sendall(b"hello")
            expect_equal(peer.hear(), '{"type":"data","stream_id":1,"data":"aGVsbG8="}')
            peer.say(data_message(1, b"world"))
            expect_equal(asker.recv(100), b"world")
            peer.say(data_message(1, b" in a binary frame"), BINARY)
            expect_equal(asker.recv(100), b" in a binary frame")
            peer.say('{"type":"close","stream_id":1}')
            expect_equal(asker.recv(100), b"", "after the close")
        peer.say('{"type":"close","stream_id":1}')
        peer.say('{"type":"ping"}')
        expect_equal(peer.hear(), '{"type":"pong"}')
        with socket.create_connection((HOST, port), 10):
            expect_equal(peer.hear(), '{"type":"connect","port":%d,"stream_id":2}' % port)
        expect_equal(peer.hear(), '{"type":"close","stream_id":2}')


def transcript(name, **numbers):
    """The steps of a session as the specification has it, with these numbers in place of the words."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", name)) as file:
        for line in file:
            if not line.startswith("#"):
                for word, number in numbers.items():
                    line = line.replace(word, str(number))
                yield line.rstrip("\n").split(" ", 1)


class Asker:
    """A client of the tunnel's port, as a transcript has it."""

    def __init__(self, port):
        self.port = port

    def step(self, words):
        verb, _, what = words.partition(" ")
        if verb == "connects":
            self.connection = socket.create_connection((HOST, self.port), 10)
        elif verb == "sends":
            self.connection.sendall(what.encode())
        elif verb == "gets":
            expect_equal(self.connection.recv(1000), b"" if what == "the end" else what.encode())
        else:
            self.connection.close()


@test("the server plays its part of a recorded session, byte for byte")
def _():
    with socket.create_server((HOST, 0)) as taken, server() as one, python_client(one.port) as peer:
        numbers = {"PORT": free_port(), "TAKEN": taken.getsockname()[1]}
        asker = Asker(numbers["PORT"])
        for who, what in transcript("tunnel_server.txt", **numbers):
            if who == "hear":
                expect_equal(peer.hear(), what)
            else:
                (peer.say if who == "say" else asker.step)(what)


@test("the client plays its part of a recorded session, byte for byte")
def _():
    def echo_to_end(connection):
        while (data := connection.recv(65536)) and data != b"end":
            connection.sendall(data)

    with Server(echo_to_end, HOST) as target, PythonServer() as one:
        running, peer = one.start(f"9000={HOST}:{target.port}")
        with running:
            for who, what in transcript("tunnel_client.txt", TARGET=target.port):
                if who == "say":
                    peer.say(what)
                else:
                    expect_equal(peer.hear(), what)


@test("port 0, a taken port and what makes no sense are answered as the original does")
def _():
    with socket.create_server((HOST, 0)) as taken, server() as one, python_client(one.port) as peer:
        peer.say("no JSON at all")
        peer.say('{"type":"unheard of","port":7}')
        peer.say('{"type":"listen","local_addr":"localhost:3000","new":{}}')
        found = json.loads(peer.hear())
        expect(found["type"] == "listen_ok" and found["port"] > 1024, found)
        number = taken.getsockname()[1]
        peer.say('{"type":"listen","port":%d,"local_addr":"localhost:1"}' % number)
        expect_equal(peer.hear(), '{"type":"listen_err","port":%d,"error":"listen tcp 127.0.0.1:%d: '
                                  'bind: address already in use"}' % (number, number))
        for odd in (99999, 65536, -1):
            peer.say('{"type":"listen","port":%d,"local_addr":"localhost:1"}' % odd)
            expect_equal(peer.hear(), '{"type":"listen_err","port":%d,"error":"listen tcp: address %d: invalid port"}'
                         % (odd, odd))


@test("a server of the original's kind gets what the original's client says, byte for byte")
def _():
    with echo_server() as target, PythonServer() as one:
        running, peer = one.start(f"9000={HOST}:{target.port}")
        with running:
            expect_equal(peer.hear(), '{"type":"listen","port":9000,"local_addr":"%s:%d"}' % (HOST, target.port))
            peer.say('{"type":"listen_ok","port":9000}')
            peer.say('{"type":"connect","port":9000,"stream_id":1}')
            peer.say(data_message(1, b"at once"))
            expect_equal(peer.hear(), data_message(1, b"at once"))
            peer.say('{"type":"connect","port":9000,"stream_id":2}')
            for _ in range(2):  # a message has at most 256 KiB
                peer.say(data_message(2, bytes(100_000)))
            seen = 0
            while seen < 200_000:
                message = json.loads(peer.hear())
                expect_equal(message["stream_id"], 2)
                size = len(message["data"]) * 3 // 4 - message["data"].count("=")
                expect(size <= 32_768, size)
                seen += size
            peer.say('{"type":"close","stream_id":1}')
            peer.say('{"type":"connect","port":1,"stream_id":3}')
            expect_equal(peer.hear(), '{"type":"close","stream_id":3}', "a port that is none of ours")
            running.signal(signal.SIGTERM)
            peer.say('{"type":"close","stream_id":2}')
            expect_equal(peer.hear(), "close 1000")
            expect_equal(running.status(), 0)


@test("the client pings, and opens the tunnel again when nothing is heard")
def _():
    with PythonServer() as one:
        running, peer = one.start("9000=localhost:1", options=("--ping-interval", "100ms"))
        with running:
            expect_equal(json.loads(peer.hear())["type"], "listen")
            peer.say('{"type":"listen_ok","port":9000}')
            for _ in range(5):
                expect_equal(peer.hear(), '{"type":"ping"}')
                peer.say('{"type":"pong"}')
            again = one.accept(5)  # we are silent from here on
            expect_equal(again.hear(), '{"type":"listen","port":9000,"local_addr":"localhost:1"}')


@test("headers, a token and the path go into the request")
def _():
    with open("token", "w") as file:
        file.write("s3cret\n")
    with PythonServer() as one:
        words = ["tunnel", "client", "--server", f"ws://{HOST}:{one.port}/some/path?x=1", "--forward", "9000=localhost:1",
                 "-H", "X-One: first", "-H", "X-Two: second", "--token-file", "token"]
        with sandbox.Running(*words):
            peer = one.accept()
            expect_equal(peer.websocket.request, "GET /some/path?x=1 HTTP/1.1")
            fields = peer.websocket.fields
            expect_equal([fields["x-one"], fields["x-two"], fields["authorization"]],
                         ["first", "second", "bearer s3cret"])


# ---- Who may.


@test("/health is answered, and without the token nothing else is")
def _():
    with open("token", "w") as file:
        file.write("s3cret\n")
    with server("--token-file", "token") as one:
        for path, status, body in (("/health", "200", "ok"), ("/", "401", "this tunnel wants a token\n")):
            with socket.create_connection((HOST, one.port), 10) as asker:
                asker.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                said = b""
                while more := asker.recv(1000):
                    said += more
            head, seen = said.decode().split("\r\n\r\n", 1)
            expect(head.startswith(f"HTTP/1.1 {status} ") and seen == body, said)
        for headers in ((), ("Authorization: Bearer s3cre",), ("Authorization: Bearer s3cret2",)):
            try:
                python_client(one.port, headers=headers)
                raise AssertionError(f"{headers} were let in")
            except ConnectionError as error:
                expect("401" in str(error), error)
        with python_client(one.port, headers=["Authorization: Bearer s3cret"]) as peer:
            peer.say('{"type":"ping"}')
            expect_equal(peer.hear(), '{"type":"pong"}')


@test("a page of another site does not open a tunnel; one of the server's own may")
def _():
    with server() as one:
        try:
            python_client(one.port, headers=["Origin: https://elsewhere.example"])
            raise AssertionError("it was let in")
        except ConnectionError as error:
            expect("403" in str(error), error)
        with python_client(one.port, headers=[f"Origin: http://{HOST}:{one.port}"]) as peer:
            peer.say('{"type":"ping"}')
            expect_equal(peer.hear(), '{"type":"pong"}')


@test("a client that is told to end while its server is away ends at once")
def _():
    with PythonServer() as one:
        running, peer = one.start("9000=localhost:1")
        with running:
            peer.hear()
            peer.say('{"type":"listen_ok","port":9000}')
            one.__exit__()
            until(lambda: "is opened again" in running.warnings(), 10, "the end")
            running.signal(signal.SIGTERM)
            expect_equal(running.status(4), 0)


@test("a client whose network has changed gets its port back at once, from its own session that is dead")
def _():
    port = free_port()
    with server() as one, python_client(one.port) as dead, python_client(one.port) as back:
        dead.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % port)
        expect_equal(json.loads(dead.hear())["type"], "listen_ok")
        # It is not heard of any more: it answers no ping.
        back.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % port)
        expect_equal(json.loads(back.hear())["type"], "listen_ok")
        with socket.create_connection((HOST, port), 10):
            expect_equal(json.loads(back.hear())["type"], "connect")


@test("a client notices that its network has changed, and opens the tunnel again when nobody answers there")
def _():
    other = "192.0.2.134"
    with PythonServer(NEIGHBOUR4) as one:
        running, peer = one.start("9000=localhost:1")
        with running:
            peer.hear()
            peer.say('{"type":"listen_ok","port":9000}')
            with on_machine_of(NEIGHBOUR4):
                ip(f"route add {other}/32 dev far")
            ip(f"address add {other}/32 dev near")
            ip(f"route add {NEIGHBOUR4}/32 dev near src {other}")
            ip("address del 192.0.2.129/30 dev near")
            try:
                again = one.accept(15)  # a ping of the tunnel's comes after 30 s only
                expect_equal(again.websocket.connection.getpeername()[0], other)
                expect_equal(again.hear(), '{"type":"listen","port":9000,"local_addr":"localhost:1"}')
                expect("network has changed" in running.warnings(), "the reason")
            finally:
                ip("address add 192.0.2.129/30 dev near")
                ip(f"address del {other}/32 dev near")


@test("a change of the network that leaves the server within reach ends no tunnel")
def _():
    port = free_port()
    with echo_server() as target, both(f"{port}={HOST}:{target.port}") as (_, running), \
            socket.create_connection((HOST, port), 10) as connection:
        for change in ("add", "del"):
            ip(f"address {change} 192.0.2.77/32 dev lo")
            select.select([], [], [], 1)  # the client asks for a sign of life meanwhile
            connection.sendall(b"hello")
            expect_equal(connection.recv(5), b"hello")
        expect_equal(running.warnings(), "")


@test("only permitted ports are listened at")
def _():
    port = free_port()
    with server("--allow-listen", f"{port}-{port}") as one, python_client(one.port) as peer:
        peer.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % port)
        expect_equal(json.loads(peer.hear())["type"], "listen_ok")
        peer.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % (port - 1))
        refused = json.loads(peer.hear())
        expect(refused["type"] == "listen_err" and "permit" in refused["error"], refused)


def certificates():
    """Two authorities' worth: server.pem/.key for localhost, client.pem/.key."""
    for name, subject in (("server", "localhost"), ("client", "a client")):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={subject}",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)


@test("TLS: the server proves who it is, and the client where that is asked for")
def _():
    certificates()
    port = free_port()
    with echo_server() as target, server("--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca",
                                         "client.pem") as one:
        forward = f"{port}={HOST}:{target.port}"
        known = ("--cert", "client.pem", "--key", "client.key")
        with client(one.port, forward, scheme="wss", host="localhost", options=("--ca", "server.pem", *known)):
            expect(answers(port) and answers(port, "x" * 300_000), "over TLS")
        until_free(port)
        for options in (("--ca", "server.pem"), known):
            words = ["tunnel", "client", "--server", f"wss://localhost:{one.port}/", "--forward", forward, *options]
            expect_equal(sandbox.nsrun(*words).returncode, 1, options)
        with client(one.port, forward, scheme="wss", options=("--insecure", *known)):
            expect(answers(port), "with --insecure")


# ---- Sessions.


@test("sessions do not see each other, and what one had is free when it has gone")
def _():
    first, second = free_port(), free_port()
    with server() as one, python_client(one.port) as peer, python_client(one.port) as other:
        for who, port in ((peer, first), (other, second)):
            who.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % port)
            expect_equal(json.loads(who.hear())["type"], "listen_ok")
        with socket.create_connection((HOST, first), 10) as asker, socket.create_connection((HOST, second), 10):
            expect_equal(json.loads(peer.hear())["stream_id"], 1)
            expect_equal(json.loads(other.hear())["stream_id"], 1)
            other.say(data_message(1, b"for the second alone"))
            peer.say(data_message(1, b"for the first"))
            expect_equal(asker.recv(100), b"for the first")
            peer.websocket.close()
            asker.settimeout(10)
            try:
                expect_equal(asker.recv(100), b"")
            except ConnectionResetError:
                pass
        until_free(first)
        other.say('{"type":"listen","port":%d,"local_addr":"x:1"}' % first)
        while (message := json.loads(other.hear()))["type"] != "listen_ok":
            expect(message["type"] == "close", message)


def unlike(number):
    """Bytes that only this connection sends."""
    return hashlib.sha256(str(number).encode()).digest() * 500


class Load:
    """Connections to the port, one after the other; remembers each foreign byte."""

    def __init__(self, port):
        self.port, self.foreign, self.whole = port, [], 0
        self.go_on()

    def go_on(self):
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(i,)) for i in range(4)]
        for thread in self.threads:
            thread.start()

    def _work(self, number):
        while not self.ends.is_set():
            number += 4
            mine = unlike(number)
            try:
                with socket.create_connection((HOST, self.port), 5) as connection:
                    connection.settimeout(5)
                    connection.sendall(mine)
                    seen = b""
                    while len(seen) < len(mine) and (more := connection.recv(65536)):
                        seen += more
            except OSError:
                self.ends.wait(0.01)
                continue
            if not mine.startswith(seen):
                self.foreign.append(number)
            self.whole += seen == mine

    def pause(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    end = pause


def start_again(side, port, at, target, options):
    if side == "server":
        return server(port=at)
    return client(at, f"{port}={HOST}:{target.port}", options=options)


def kill_again_and_again(side, times, options=()):
    """One end is killed and started again, under load; how many connections were carried whole."""
    port, at = free_port(), free_port()
    with echo_server() as target:
        ends = {"server": server(port=at), "client": client(at, f"{port}={HOST}:{target.port}", options=options)}
        keeper = ends["server" if side == "client" else "client"]
        load = Load(port)

        def descriptors():
            return len(os.listdir(f"/proc/{keeper.pid}/fd"))

        try:
            until(lambda: answers(port), 10, "the port")
            load.pause()
            before = until(descriptors, 10)
            load.go_on()
            for turn in range(times):
                ends[side].process.kill()
                ends[side].__exit__()
                ends[side] = start_again(side, port, at, target, options)
                until(lambda: answers(port), 6, f"the port, after end {turn + 1} of the {side}")
                carried = load.whole
                until(lambda: load.whole > carried, 6, "a connection of the load's")
            load.end()
            until(lambda: descriptors() <= before, 10, f"no more than the {before} descriptors of the beginning")
        finally:
            load.end()
            for end in ends.values():
                end.__exit__()
        expect_equal(load.foreign, [], "streams with foreign bytes")
        return f"{load.whole} connections were carried whole"


@test("the client is killed and started 50 times under load: the port comes back, no foreign byte, nothing leaks")
def _():
    return kill_again_and_again("client", 50)


@test("the same 50 times in JSON")
def _():
    return kill_again_and_again("client", 50, ("--json",))


@test("the server is killed and started 100 times under load: the port comes back within the backoff, nothing leaks")
def _():
    # About a second each, for the backoff: four pairs of ends at once.
    with ThreadPoolExecutor(4) as four:
        return "; ".join(four.map(lambda _: kill_again_and_again("server", 25), range(4)))


# ---- The HTTP proxy beside it.


def connect_through(proxy, place):
    """A connection after CONNECT, and the proxy's answer."""
    connection = socket.create_connection((HOST, proxy), 10)
    connection.settimeout(10)
    connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    return connection, head.decode().split("\r\n")[0]


@test("what a client offers by name is reached through the proxy, from listen_ok until it goes")
def _():
    proxy = free_port()
    with server("--proxy", str(proxy)) as one:
        for offered, place in (("web.example:80", "web.example:80"), ("tls://www.example.com:443", "www.example.com:443")):
            with python_client(one.port) as peer:
                peer.say('{"type":"listen","local_addr":"%s"}' % offered)
                expect_equal(json.loads(peer.hear())["type"], "listen_ok")
                answer = []
                asking = threading.Thread(target=lambda: answer.append(connect_through(proxy, place)))
                asking.start()
                expect_equal(json.loads(peer.hear())["type"], "connect", offered)
                asking.join()
                connection, status = answer[0]
                expect_equal(status, "HTTP/1.1 200 Connection Established")
                peer.say(data_message(1, b"from the tunnel"))
                expect_equal(connection.recv(100), b"from the tunnel")
                connection.close()
            until(lambda: " 502 " in connect_through(proxy, place)[1] + " ", 10, "the end of the mapping")


@test("a client that finds a proxy in the environment goes through it")
def _():
    asked = []

    def proxy(connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        asked.append(head.decode().split("\r\n")[0])
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with Server(proxy, HOST) as at:
        words = ["tunnel", "client", "--server", "ws://tunnel.example:80/", "--forward", "9000=localhost:1"]
        done = sandbox.nsrun(*words, env={**os.environ, "http_proxy": f"http://{HOST}:{at.port}", "no_proxy": ""})
        expect_equal(done.returncode, 1)
        expect_equal(asked, ["CONNECT tunnel.example:80 HTTP/1.1"])


# ---- Targets behind TLS.


class SecretServer(Server):
    """Behind TLS, with server.pem: says hello at once if it is `first` to speak, else tells what it was told."""

    def __init__(self, host=HOST, first=False):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain("server.pem", "server.key")
        self._first = first
        super().__init__(self._talk, host)

    def _talk(self, connection):
        with self._context.wrap_socket(connection, server_side=True) as stream:
            stream.sendall(b"hello" if self._first else b"you said " + stream.recv(1000))


def told_in_tls(connection):
    """What such a server answers to one who speaks TLS with it."""
    with ssl.create_default_context(cafile="server.pem").wrap_socket(connection, server_hostname="localhost") as stream:
        stream.sendall(b"hello")
        return stream.recv(1000)


@test("tls:// speaks TLS for who does not, as the Host it is; who speaks TLS himself is not given another")
def _():
    certificates()
    port = free_port()
    with SecretServer() as target:
        for options in ((), ("--json",)):
            forward = f"{port}=tls://localhost:{target.port}?ca={os.getcwd()}/server.pem"
            with both(forward, client_options=options):
                with socket.create_connection((HOST, port), 10) as plain:
                    plain.sendall(b"GET / HTTP/1.1\r\nHost: another.example\r\n\r\n")
                    expected = b"you said GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % target.port
                    expect_equal(plain.recv(1000), expected)
                expect_equal(told_in_tls(socket.create_connection((HOST, port), 10)), b"you said hello")
            until_free(port)


@test("tls:// hears a server that speaks first; one that is not trusted is said, and its client cut off")
def _():
    certificates()
    port = free_port()
    with SecretServer(first=True) as target:
        with both(f"{port}=tls://localhost:{target.port}?ca={os.getcwd()}/server.pem"):
            with socket.create_connection((HOST, port), 10) as silent:
                silent.settimeout(10)
                expect_equal(silent.recv(100), b"hello")
        until_free(port)
        with both(f"{port}=tls://localhost:{target.port}") as (_, running):
            with socket.create_connection((HOST, port), 10) as asker:
                asker.settimeout(10)
                asker.sendall(b"GET / HTTP/1.1\r\n\r\n")
                with contextlib.suppress(ConnectionResetError):
                    expect_equal(asker.recv(1), b"")
            until(lambda: "certificate" in running.warnings(), 5, "why")


class SlowReader(Server):
    """A TLS server that reads 64 KiB at a time, so many times a second; its kernel buffers little."""

    def __init__(self, rate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("server.pem", "server.key")
        self.read = 0
        self.over = threading.Event()
        self.failure = None

        def crawl(connection):
            with context.wrap_socket(connection, server_side=True) as stream:
                try:
                    while not self.over.wait(1 / rate):
                        rest = 65536
                        while rest > 0 and (piece := stream.recv(rest)):
                            rest -= len(piece)
                            self.read += len(piece)
                        if rest > 0:
                            raise ConnectionResetError("it ended")
                except OSError as error:
                    self.failure = error

        super().__init__(crawl, HOST)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)


def fill(connection, over):
    """Sends until told to stop; gives how much was taken so far, and goes up as it is."""
    sent = [0]

    def flood():
        with contextlib.suppress(OSError):
            while not over.is_set():
                sent[0] += connection.send(bytes(65536))

    threading.Thread(target=flood, daemon=True).start()
    return sent


@test("a slow reader behind tls:// that holds back a JSON tunnel is not reset while it makes progress")
def _():
    certificates()
    port = free_port()
    # A socket reports that it takes more once a third of its buffer, over a megabyte, is free: by itself it would do
    # so after 5 s of this reader.
    with SlowReader(rate=4) as target, \
            both(f"{port}=tls://localhost:{target.port}?ca={os.getcwd()}/server.pem",
                 client_options=("--json", "--stall-limit", "3s")) as (_, running), \
            socket.create_connection((HOST, port), 10) as sender:
        sent = fill(sender, target.over)
        until(lambda: sent[0] > 17 << 20, 60, "the tunnel to hold as much as it may")
        before = target.read
        until(lambda: target.failure or target.read > before + (4 << 20), 60, "progress")
        expect_equal((target.failure, running.warnings()), (None, ""))
        target.over.set()


@test("through the proxy, a target behind tls:// is spoken TLS with, as any other")
def _():
    certificates()
    port, proxy = free_port(), free_port()
    with SecretServer(SERVER4) as target, server("--proxy", str(proxy), "--deny", "*") as one, \
            client(one.port, f"{port}=tls://{SERVER4}:{target.port}?name=localhost&ca={os.getcwd()}/server.pem"):
        connection, status = connect_through(proxy, f"{SERVER4}:{target.port}")
        expect_equal(status, "HTTP/1.1 200 Connection Established")
        expect_equal(told_in_tls(connection), b"you said hello")


@test("a client's rules say where its forwards may lead, by name and by what the name resolves to")
def _():
    port = free_port()
    with echo_server() as target, server() as one:
        forward = f"{port}=localhost:{target.port}"
        words = ["tunnel", "client", "--server", f"ws://{HOST}:{one.port}/", "--forward", forward]
        done = sandbox.nsrun(*words, "--allow", "*.example.org")
        expect_equal(done.returncode, 2)
        expect(f"'localhost:{target.port}' is not to be forwarded to: default" in done.stderr, done.stderr)
        with client(one.port, forward, options=("--allow", f"localhost:{target.port}", "--allow", HOST)):
            expect(answers(port), "allowed by name")
        until_free(port)
        with client(one.port, forward, options=("--deny", "127.0.0.0/8", "--deny", "::1", "--allow", "localhost")):
            expect(not answers(port), "its address is denied")


# ---- A sandbox at the other end of a tunnel.


@test("--dial tunnel+ws:// takes a sandbox's flows to the server, names as names, and rules say which")
def _():
    with echo_server() as target, echo_server() as other:
        with server("--allow", f"tcp/localhost:{target.port}", "--allow", f"tcp/{HOST}:{target.port}", "--log",
                    "tunnel.log") as one:
            dial = f"tunnel+ws://{HOST}:{one.port}/"
            options = ("--dial", dial, "--host-loopback")
            for host in ("10.0.2.2",):
                expect_equal(sandbox.inside("echoed", host, target.port, "hello", options=options), "hello", host)
            seen = sandbox.inside("connect_error", "10.0.2.2", other.port, options=options)
            expect_equal(seen[0], "ECONNREFUSED", "not allowed")
        with open("tunnel.log") as log:
            lines = [json.loads(line) for line in log]
        # Where one loopback address refuses, a sandbox tries the other (host.nsrun.internal has both).
        expect_equal([line["verdict"] for line in lines], ["allow", "reject", "reject"])


@test("without a rule a server dials for nobody")
def _():
    with echo_server() as target, server() as one:
        options = ("--dial", f"tunnel+ws://{HOST}:{one.port}/", "--host-loopback")
        expect_equal(sandbox.inside("connect_error", "10.0.2.2", target.port, options=options)[0], "ECONNREFUSED")


@test("SIGTERM lets a stream go on to its end, and then the status is 0")
def _():
    port = free_port()
    with echo_server() as target, both(f"{port}={HOST}:{target.port}") as (one, other):
        with socket.create_connection((HOST, port), 10) as asker:
            asker.settimeout(10)
            asker.sendall(b"before")
            expect_equal(asker.recv(100), b"before")
            other.signal(signal.SIGTERM)
            one.signal(signal.SIGTERM)
            asker.sendall(b"after")
            expect_equal(asker.recv(100), b"after")
            asker.shutdown(socket.SHUT_WR)
            expect_equal(asker.recv(100), b"")
        expect_equal((one.status(), other.status()), (0, 0))
