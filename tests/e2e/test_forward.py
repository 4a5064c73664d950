"""nsrun forward: endpoints of every kind, connected to one another; what serves, and how it ends.

    client ──► LISTEN ── nsrun forward ──► DIAL ──► server      tcp, tls, unix; udp, unix+dgram
"""
import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import stat
import subprocess

from support import control, guest, sandbox
from support.dns import NameServer
from support.servers import Server, count_and_tell, datagram_echo, echo
from support.services import broken_off, failing, forward, free_port, tls_files, unix_connect
from support.theme import expect, expect_equal, test, until
from support.world import CLIENT4, SERVER4, SERVER6, SILENT4

MIB = 1 << 20
HERE = "127.0.0.1"
IN_A_WORLD = True


def between(kind, port):
    """A place of this kind in the middle: [how it is listened at, how it is dialled]"""
    if kind == "unix":
        return [f"unix://{os.getcwd()}/{port}.sock"] * 2
    if kind == "tls":
        tls_files()
        here = os.getcwd()
        return [f"tls://{HERE}:{port}?cert={here}/server.pem&key={here}/server.key",
                f"tls://{HERE}:{port}?ca={here}/ca.pem&name=server.example.test"]
    return [f"tcp://{HERE}:{port}"] * 2


def broken(client):
    """Whether the connection is reset, when something is sent and read."""
    try:
        client.sendall(b"x")
        return client.recv(1) is None
    except (ConnectionResetError, BrokenPipeError):
        return True


def through(kind, server_port):
    """A forward by way of that kind: [its process, the port to connect to]"""
    port, middle = free_port(), free_port()
    listened, dialled = between(kind, middle)
    return forward(f"tcp://{HERE}:{port}={dialled}", f"{listened}=tcp://{SERVER4}:{server_port}"), port


@test("streams of every kind carry bytes both ways, unharmed")
def _():
    with Server(count_and_tell) as server:
        for kind in ("tcp", "unix", "tls"):
            running, port = through(kind, server.port)
            with running:
                sent, told = guest.upload(HERE, port, 8 * MIB)
                expect_equal(told, f"{8 * MIB} {sent}", kind)


@test("a half-close is passed on, whoever finishes first")
def _():
    def speak_first(connection):
        guest.send_stream(connection, MIB)
        return guest.receive_stream(connection)[0]

    for kind in ("tcp", "unix", "tls"):
        with Server(count_and_tell) as server:
            running, port = through(kind, server.port)
            with running:
                expect(guest.upload(HERE, port, 1000)[1].startswith("1000 "), kind)
        with Server(speak_first) as server:
            running, port = through(kind, server.port)
            with running:
                expect_equal(guest.receive_then_send(HERE, port, 2000), MIB, kind)
                expect_equal(server.result(), 2000, kind)


@test("a client of a unix socket reaches a TCP server, and of a TCP port a unix server")
def _():
    with Server(echo) as server, forward(f"unix://{os.getcwd()}/front.sock=tcp://{SERVER4}:{server.port}"):
        with unix_connect("front.sock") as client:
            client.sendall(b"hello")
            expect_equal(client.recv(100), b"hello")


@test("TLS: clients without a certificate are turned away where one is wanted, others get in")
def _():
    tls_files()
    here, port, plain, bare = os.getcwd(), free_port(), free_port(), free_port()
    trust = f"ca={here}/ca.pem&name=server.example.test"
    with Server(echo) as server, forward(
            f"tls://{HERE}:{port}?cert={here}/server.pem&key={here}/server.key&ca={here}/ca.pem"
            f"=tcp://{SERVER4}:{server.port}",
            f"tcp://{HERE}:{plain}=tls://{HERE}:{port}?{trust}&cert={here}/client.pem&key={here}/client.key",
            f"tcp://{HERE}:{bare}=tls://{HERE}:{port}?{trust}"):
        expect_equal(guest.echoed(HERE, plain, "hello"), "hello")
        with guest.connect(HERE, bare) as client:
            try:
                client.sendall(b"hello")
                expect_equal(client.recv(100), b"", "without a certificate")
            except ConnectionError:
                pass


@test("TLS: a server that nobody vouches for, or that is another, is not spoken to")
def _():
    tls_files()
    here, port, front = os.getcwd(), free_port(), free_port()
    with Server(echo) as server:
        for options in ("", f"?ca={here}/ca.pem", f"?ca={here}/ca.pem&name=other.example.test"):
            with forward(f"tls://{HERE}:{port}?cert={here}/server.pem&key={here}/server.key"
                         f"=tcp://{SERVER4}:{server.port}", f"tcp://{HERE}:{front}=tls://{HERE}:{port}{options}"):
                expect(broken_off(front), options)


@test("TLS: a protocol is agreed on (ALPN), in our order")
def _():
    tls_files()
    here, port = os.getcwd(), free_port()
    context = ssl.create_default_context(cafile="ca.pem")
    context.set_alpn_protocols(["http/1.1", "h2"])
    with Server(echo) as server, forward(f"tls://{HERE}:{port}?cert={here}/server.pem&key={here}/server.key"
                                         f"&alpn=h2,http/1.1=tcp://{SERVER4}:{server.port}"):
        with context.wrap_socket(guest.connect(HERE, port), server_hostname="server.example.test") as client:
            expect_equal(client.selected_alpn_protocol(), "h2")


@test("datagrams keep their boundaries and their clients, over UDP and unix sockets")
def _():
    port, here = free_port(), os.getcwd()
    with datagram_echo() as echoing, forward(f"udp://{HERE}:{port}=unix+dgram://{here}/middle.sock",
                                             f"unix+dgram://{here}/middle.sock=udp://{SERVER4}:{echoing}"):
        clients = [guest.datagram_socket(HERE, port) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(5)
            for size in (0, 1, 1400, 60000):
                client.send(bytes([number]) * size)
        for number, client in enumerate(clients):
            expect_equal([client.recv(70000) == bytes([number]) * size for size in (0, 1, 1400, 60000)], [True] * 4)
            client.close()


@test("a refused dial resets the client at once, and so does a server that breaks off")
def _():
    def break_off(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    port, other = free_port(), free_port()
    with Server(break_off) as server, forward(f"tcp://{HERE}:{port}=tcp://{SERVER4}:{free_port()}",
                                              f"tcp://{HERE}:{other}=tcp://{SERVER4}:{server.port}",
                                              f"unix://{os.getcwd()}/none.sock=unix:///no/such"):
        expect(broken_off(port) and broken_off(other), "it looks whole")
        with unix_connect("none.sock") as client:
            try:
                expect_equal(client.recv(1), b"")
            except ConnectionResetError:
                pass


@test("a name with several addresses is dialled until one answers")
def _():
    port, name = free_port(), "many.example.test"
    with Server(echo, SERVER6) as server, NameServer({(name, "A"): [SERVER4], (name, "AAAA"): [SERVER6]}):
        with forward(f"tcp://{HERE}:{port}=tcp://{name}:{server.port}"):
            expect_equal(guest.echoed(HERE, port, "hello"), "hello")


@test("a stale unix socket is replaced, has its mode at once, and is gone at the end")
def _():
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind("mode.sock")
    with forward(f"unix://{os.getcwd()}/mode.sock?mode=0666=tcp://{HERE}:9",
                 f"unix://{os.getcwd()}/usual.sock=tcp://{HERE}:9") as running:
        modes = [stat.S_IMODE(os.stat(path).st_mode) for path in ("mode.sock", "usual.sock")]
        expect_equal(modes, [0o666, 0o600])
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 0)
    expect_equal([name for name in os.listdir(".") if name in ("mode.sock", "usual.sock")], [])


@test("a place that is taken is an error of its own, and nothing is served")
def _():
    first = free_port()
    with socket.socket() as taken, socket.socket(socket.AF_UNIX) as listening:
        taken.bind((HERE, 0))
        taken.listen()
        listening.bind("taken.sock")
        listening.listen()
        port = taken.getsockname()[1]
        status, line = failing("forward", f"tcp://{HERE}:{first}=tcp://{HERE}:9", f"tcp://{HERE}:{port}=tcp://{HERE}:9")
        expect_equal(status, 122)
        expect(str(port) in line, line)
        status, line = failing("forward", f"unix://{os.getcwd()}/taken.sock=tcp://{HERE}:9")
        expect(status == 125 and "another program listens there" in line, line)


@test("wrong words are errors of usage that say the form")
def _():
    for words, word in ((["forward"], "nothing to forward"), (["forward", "tcp://:80"], "second endpoint"),
                        (["forward", "tcp://:1=ftp://a:1"], "second endpoint"),
                        (["forward", "tcp://:1=udp://a:1"], "datagrams"),
                        (["forward", "tcp://:1=tcp://:1"], "no host"),
                        (["forward", "tcp://:1=tcp://0.0.0.0:1"], "not the address of a host"),
                        (["forward", "udp://:1=udp://[::]:1"], "not the address of a host"),
                        (["forward", "tcp://:1=vsock://any:1"], "CID"),
                        (["forward", "tcp://:1=unix:///x?mode=0600"], "mode"),
                        (["forward", "tls://:1=tcp://a:1"], "certificate"),
                        (["forward", "tcp://:1=guest+tcp://localhost:1"], "no sandbox"),
                        (["forward", "guest+tcp://:1=tcp://a:1"], "no sandbox"),
                        (["forward", "--drain", "soon", "tcp://:1=tcp://a:1"], "--drain"),
                        (["forward", "--ready-fd", "77", "tcp://:1=tcp://a:1"], "--ready-fd"),
                        (["forward", "--no-such", "tcp://:1=tcp://a:1"], "--no-such")):
        status, line = failing(*words)
        expect(status == 2 and word in line, words, status, line)


@test("flows are logged, summed up and told of at the control socket")
def _():
    port, where = free_port(), f"{SERVER4}:"
    with Server(echo) as server, forward("--log", "flows.log", "--summary", "--control", control.SOCKET,
                                         f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}") as running:
        with guest.connect(HERE, port) as client:
            client.sendall(b"hello")
            client.recv(100)
            (flow,) = control.asked(running, "flows")["flows"]
            expect_equal([flow[key] for key in ("asker", "bytes_up", "bytes_down", "end")], ["client", 5, 5, "open"])
            expect_equal(flow["dialled"], f"tcp/{where}{server.port}")
        until(lambda: not control.asked(running, "flows")["flows"], what="its end")
        expect_equal(control.asked(running, "stats")["tcp"]["bytes_up"], 5)
        running.signal(signal.SIGTERM)
        status, words = running.ended()
        expect_equal(status, 0)
        expect(f"{where}{server.port}" in words, words)
    with open("flows.log") as log:
        (line,) = map(json.loads, log)
    expect_equal([line[key] for key in ("end", "rule")],
                 ["closed", f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}"])


@test("readiness is told on a descriptor, and to the service manager, when clients are taken")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("notify.sock")
        os.chmod("notify.sock", 0o777)
        manager.settimeout(10)
        environment = {**os.environ, "NOTIFY_SOCKET": f"{os.getcwd()}/notify.sock"}
        with forward(f"tcp://{HERE}:{free_port()}=tcp://{HERE}:9", env=environment) as running:
            expect_equal(running.said, b"ready\n")
            expect_equal(manager.recv(100), b"READY=1")
            running.signal(signal.SIGTERM)
            expect_equal(manager.recv(100), b"STOPPING=1")


@test("SIGTERM lets live flows end, takes no new ones, and the status is 0")
def _():
    port = free_port()
    with Server(echo) as server, forward(f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}") as running:
        with guest.connect(HERE, port) as client:
            client.sendall(b"one")
            expect_equal(client.recv(100), b"one")
            running.signal(signal.SIGTERM)
            until(lambda: guest.connect_error(HERE, port)[0] == "ECONNREFUSED", what="the listener's end")
            client.sendall(b"two")
            expect_equal(client.recv(100), b"two")
            expect_equal(running.process.poll(), None)
        expect_equal(running.status(5), 0)


@test("a second signal, or the end of --drain, cuts what lives")
def _():
    def cut(options, again):
        port = free_port()
        with Server(echo) as server, forward(*options, f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}") as running:
            with guest.connect(HERE, port) as client:
                client.sendall(b"one")
                client.recv(100)
                running.signal(signal.SIGTERM)
                if again:
                    until(lambda: guest.connect_error(HERE, port)[0] == "ECONNREFUSED", what="the listener's end")
                    running.signal(signal.SIGINT)
                expect_equal(running.status(5), 0, options)
                try:
                    expect_equal(client.recv(1), None, "after the cut")
                except ConnectionResetError:
                    pass

    cut(["--drain", "60"], again=True)
    cut(["--drain", "200ms"], again=False)


@test("a far end that never answers keeps nobody else waiting")
def _():
    port, silent = free_port(), free_port()
    with Server(echo) as server, forward(f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}",
                                         f"tcp://{HERE}:{silent}=tcp://{SILENT4}:80"):
        waiting = [guest.connect(HERE, silent) for _ in range(20)]
        expect_equal(guest.echoed(HERE, port, "hello"), "hello")
        for one in waiting:
            one.close()


@test("hundreds of clients at once each get their own bytes, and leave nothing behind")
def _():
    def descriptors(running):
        return len(os.listdir(f"/proc/{running.pid}/fd"))

    for kind in ("tcp", "tls"):
        with Server(echo) as server:
            running, port = through(kind, server.port)
            with running:
                guest.echoed(HERE, port, "hello")
                until(lambda: descriptors(running) < 30, what="the first flow's end")
                before = descriptors(running)
                done = subprocess.run(sandbox.guest_command("many_connections", HERE, port, 200), timeout=60,
                                      stdout=subprocess.PIPE)
                expect_equal(json.loads(done.stdout), [200, 200], kind)
                until(lambda: descriptors(running) <= before, what="the end of all flows")


@test("one client address gets at most half of the connections, and another address still gets in")
def _():
    def connect(source):
        client = socket.socket()
        client.bind((source, 0))
        client.settimeout(10)
        client.connect((SERVER4, port))
        return client

    port = free_port()
    with contextlib.ExitStack() as open_clients, Server(echo) as server, \
            forward(f"tcp://{SERVER4}:{port}=tcp://{SERVER4}:{server.port}", limits=(216, 216)) as running:
        def is_served(source):
            try:
                client = open_clients.enter_context(connect(source))
                client.sendall(b"x")
                return client.recv(1) == b"x"
            except (ConnectionResetError, BrokenPipeError):
                return False

        served = [is_served(CLIENT4) for _ in range(120)]
        expect_equal((served.count(True), served[:50], served[50:]), (50, [True] * 50, [False] * 70))
        expect(is_served(SERVER4), "another address")
        expect_equal(running.warnings().count(f"refusing connections of {CLIENT4}"), 1)
        open_clients.pop_all().close()
        until(lambda: is_served(CLIENT4), what="a place that is free again")
        open_clients.close()


@test("connections that lead back to their own listener end, and give back their descriptors")
def _():
    # [pipes, others]: a few pipes are kept for later flows (PipePool::most_kept).
    def descriptors(running):
        links = []
        for each in os.scandir(f"/proc/{running.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                links.append(os.readlink(each.path))
        pipes = sum(link.startswith("pipe:") for link in links)
        return pipes, len(links) - pipes

    def are_back(running, before):
        pipes, others = descriptors(running)
        return pipes <= before[0] + 2 * 4 and others <= before[1]

    one, two, other = free_port(), free_port(), free_port()
    with Server(echo) as server, forward(f"tcp://{HERE}:{one}=tcp://{HERE}:{two}",
                                         f"tcp://{HERE}:{other}=tcp://{SERVER4}:{server.port}") as first, \
            forward(f"tcp://{HERE}:{two}=tcp://{HERE}:{one}") as second:
        before = [descriptors(running) for running in (first, second)]
        for running in (first, second):
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (64, 64))
        with guest.connect(HERE, one) as client:
            client.settimeout(30)
            expect(broken(client), "the client is reset")
        until(lambda: all(map(are_back, (first, second), before)), what="the circle's end")
        expect_equal(guest.echoed(HERE, other, "hello"), "hello")
