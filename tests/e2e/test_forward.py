"""nsrun forward: endpoints of every kind, connected to one another; what serves, and how it ends.

    client ──► LISTEN ── nsrun forward ──► DIAL ──► server      tcp, tls, unix; udp, unix+dgram
"""
import json
import os
import signal
import socket
import ssl
import stat

from support import control, guest, sandbox
from support.dns import NameServer
from support.servers import Server, count_and_tell, datagram_echo, echo
from support.services import authority, broken_off, failing, forward, free_port, issue, unix_connect
from support.theme import expect, expect_equal, test, until
from support.world import SERVER4, SERVER6, SILENT4

MIB = 1 << 20
HERE = "127.0.0.1"
IN_A_WORLD = True


def tls_files():
    if not os.path.exists("server.pem"):
        authority("ca")
        issue("ca", "server", "server.example.test")
        issue("ca", "client", "client.example.test")


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


# ---- of a sandbox

def in_sandbox(function, *arguments, forwards=(), **settings):
    options = [word for each in forwards for word in ("--forward", each)]
    return sandbox.start_guest(function, *arguments, options=options, **settings)


@test("--forward leads to a server on the sandbox's loopback, from TCP and unix sockets, TLS and UDP")
def _():
    tls_files()
    port, secure, datagrams, here = free_port(), free_port(), free_port(), os.getcwd()
    with in_sandbox("serve", HERE, [80], [53], forwards=[
            f"tcp://{HERE}:{port}=guest+tcp://localhost:80", f"unix://{here}/app.sock=guest+tcp://{HERE}:80",
            f"tls://{HERE}:{secure}?cert={here}/server.pem&key={here}/server.key=guest+tcp://{HERE}:80",
            f"udp://{HERE}:{datagrams}=guest+udp://{HERE}:53"]):
        expect_equal(guest.ask(HERE, port, "hello"), [HERE, "hello"])
        with unix_connect("app.sock") as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            expect(client.makefile().read().endswith("hello"), "no answer over the unix socket")
        context = ssl.create_default_context(cafile="ca.pem")
        with context.wrap_socket(guest.connect(HERE, secure), server_hostname="server.example.test") as client:
            client.sendall(b"hello")
            expect(client.recv(100), "no answer over TLS")
        expect(guest.ask_datagram(HERE, datagrams, "hello").endswith("\nhello"))


@test("--forward listens in the sandbox before the command starts, and leads to the host")
def _():
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("database.sock")
        listening.listen()
        for options in ([], ["--default", "deny"]):
            seen = sandbox.inside("connect_errors", [(HERE, 5432), (HERE, 80)], options=[
                *options, "--forward", f"guest+tcp://{HERE}:5432=unix://{os.getcwd()}/database.sock",
                "--forward", f"guest+tcp://{HERE}:80=unix://{os.getcwd()}/database.sock"])
            expect_equal(seen, [None, None], options)
    with Server(echo) as server:
        options = ["--default", "deny", "--forward", f"guest+tcp://:70=tcp://{SERVER4}:{server.port}"]
        expect_equal(sandbox.inside("echoed", HERE, 70, "hello", options=options), "hello")
        expect_equal(sandbox.inside("echoed", "::1", 70, "hello", options=options), "hello")


@test("--forward carries the guest's datagrams, which are written down")
def _():
    with datagram_echo() as echoing:
        seen = sandbox.inside("echo_datagrams", HERE, 53, [1, 1400], options=[
            "--default", "deny", "--log", "guest.log", "--forward", f"guest+udp://{HERE}:53=udp://{SERVER4}:{echoing}"])
    expect_equal(seen, [True, True])
    with open("guest.log") as log:
        lines = [json.loads(line) for line in log]
    expect_equal([(line["asker"], line["rule"]) for line in lines],
                 [("guest", f"guest+udp://{HERE}:53=udp://{SERVER4}:{echoing}")])


@test("--forward between two places of the host works beside a sandbox, and ends with it")
def _():
    port = free_port()
    with Server(echo) as server, in_sandbox("await_signal", forwards=[
            f"tcp://{HERE}:{port}=tcp://{SERVER4}:{server.port}", f"unix://{os.getcwd()}/beside.sock=tcp://{HERE}:9"]) as running:
        expect_equal(guest.echoed(HERE, port, "hello"), "hello")
        running.signal(signal.SIGTERM)
        running.status()
    expect_equal(guest.connect_error(HERE, port)[0], "ECONNREFUSED")
    expect(not os.path.exists("beside.sock"), "the socket was left behind")


@test("a --forward that cannot be is an error before the command runs")
def _():
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        taken.listen()
        port = taken.getsockname()[1]
        for wrong, status in ((f"tcp://{HERE}:{port}=guest+tcp://{HERE}:80", 122),
                                 ("guest+tcp://192.0.2.77:80=tcp://127.0.0.1:9", 125),
                                 ("tcp://:1=guest+tcp://example.org:80", 2), ("tcp://:1=guest+tcp://:80", 2),
                                 ("guest+tcp://:80=unix+dgram:///x", 2)):
            done = sandbox.nsrun("--forward", wrong, "--", "touch", "ran")
            expect_equal((done.returncode, done.stderr.count("\n")), (status, 1), wrong)
            expect(not os.path.exists("ran"), "the command ran")
    done = sandbox.nsrun("--forward", "guest+tcp://:80=tcp://127.0.0.1:9", "--forward",
                         "guest+tcp://127.0.0.1:80=tcp://127.0.0.1:9", "--", "touch", "ran")
    expect_equal(done.returncode, 122, done.stderr)
