"""nsrun --forward: endpoints of the host and of a sandbox, connected to one another.

    host                                      sandbox
    client ──► tcp, tls, unix, udp ── nsrun ──► guest+tcp, guest+udp: its own loopback
    server ◄── tcp, unix, udp ─────── nsrun ◄── a socket that listens inside
"""
import json
import os
import signal
import socket
import ssl

from support import guest, sandbox
from support.servers import Server, datagram_echo, echo
from support.services import free_port, tls_files, unix_connect
from support.theme import expect, expect_equal, test
from support.world import SERVER4

MIB = 1 << 20
HERE = "127.0.0.1"
IN_A_WORLD = True


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
        # An address that is named means itself alone, the unspecified ones too.
        to = f"tcp://{SERVER4}:{server.port}"
        options = ["--forward", f"guest+tcp://[::]:70={to}", "--forward", f"guest+tcp://0.0.0.0:71={to}"]
        seen = sandbox.inside("connect_errors", [(host, port) for port in (70, 71) for host in (HERE, "::1")],
                              options=options)
        expect_equal(seen, ["ECONNREFUSED", None, None, "ECONNREFUSED"])


@test("what the command sent last through a forward arrives, though the command has ended")
def _():
    with Server(lambda connection: guest.receive_stream(connection)) as server:
        sent = sandbox.inside("send_and_leave", HERE, 70, 8 * MIB, options=[
            "--forward", f"guest+tcp://{HERE}:70=tcp://{SERVER4}:{server.port}"])
        expect_equal(server.result(), [8 * MIB, sent])


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
