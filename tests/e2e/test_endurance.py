"""Much at once, much in a row, and little to do it with.

    sandbox                     world
    guest.py ════ nsrun ═══► 192.0.2.10, 2001:db8::10   servers of this theme
                        └──► 203.0.113.9                silence
"""
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading

from support import guest, sandbox, world
from support.dns import NameServer
from support.proxies import Socks5
from support.servers import Server, count_and_tell, datagram_echo, echo
from support.theme import expect, expect_equal, test, until
from support.world import SERVER4, SERVER6, SILENT4

IN_A_WORLD = True
MIB = 1 << 20


def descriptors(running):
    return len(os.listdir(f"/proc/{running.pid}/fd"))


@test("300 MiB over IPv6 arrive whole, both ways")
def _():
    size = 300 * MIB
    with Server(count_and_tell, SERVER6) as server:
        sent, answer = sandbox.inside("upload", server.host, server.port, size)
        expect_equal(answer, f"{size} {sent}")
    with Server(lambda connection: guest.send_stream(connection, size), SERVER6) as server:
        expect_equal(sandbox.inside("download", server.host, server.port), [size, server.result()])


@test("one connection carries 200 MiB each way at the same time")
def _():
    size, received = 200 * MIB, []

    def handle(connection):
        reader = threading.Thread(target=lambda: received.extend(guest.receive_stream(connection)))
        reader.start()
        sent = guest.send_stream(connection, size, finish=False)
        reader.join()
        connection.shutdown(socket.SHUT_WR)  # the guest leaves on this, and its sandbox with it
        return sent

    with Server(handle) as server:
        up, down = sandbox.inside("both_ways", server.host, server.port, size)
        expect_equal(down, [size, server.result()], "down")
        expect_equal(received, [size, up], "up")


@test("50 downloads at once arrive whole")
def _():
    size = 10 * MIB
    with Server(lambda connection: guest.send_stream(connection, size)) as server:
        seen = sandbox.inside("downloads", server.host, server.port, 50)
        expect_equal(seen, [[size, server.result()], 50])


@test("a published port carries 300 MiB each way, for clients on the host's loopback and others")
def _():
    size = 300 * MIB
    with sandbox.start_guest("serve", "::", [80], [], options=["-p", "8080:80"]):
        for host in ("127.0.0.1", SERVER4):
            with guest.connect(host, 8080, 60) as connection:
                stream, sent = connection.makefile("rb"), []
                stream.readline()  # who we are
                sender = threading.Thread(target=lambda: sent.append(guest.send_stream(connection, size)))
                sender.start()
                got = guest.receive_stream(connection)
                sender.join()
                expect_equal(got, [size, sent[0]], host)


def greet_everybody(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.send(b"hello")


@test("100,000 connections leave no descriptor and no flow behind")
def _():
    count = 100_000
    with socket.create_server((SERVER4, 0), backlog=1024) as listener, tempfile.NamedTemporaryFile() as log, \
            sandbox.start_guest("serve", "::", [], []) as idle:
        threading.Thread(target=greet_everybody, args=[listener], daemon=True).start()
        os.chmod(log.name, 0o666)
        before = descriptors(idle)
        words = sandbox.guest_command("greeted", SERVER4, listener.getsockname()[1], count, 4)
        with sandbox.start(*words, options=["--log", log.name]) as running:
            expect_equal(int(running.wait_for(r"(\d+)\n", 300)[1]), count, "greeted")
            until(lambda: descriptors(running) <= before + 3, 5, "closed descriptors")
            # Each flow has been written down, so none lives on.
            lines = [json.loads(line) for line in open(log.name)]
            ends = [line["end"] for line in lines if line["protocol"] == "tcp"]
            expect_equal((len(ends), set(ends)), (count, {"closed"}), "flows and their ends")


@test("2,000 connections in a row leave nsrun with the descriptors and about the memory it had")
def _():
    with Server(echo) as server, sandbox.start_guest("serve", "::", [], []) as idle:
        before = descriptors(idle)
        with sandbox.start(*sandbox.guest_command("one_after_the_other", server.host, server.port,
                                                  2000)) as running:
            expect_equal(running.wait_for(r"(\d+)\n", 60)[1], b"2000", "echoed")
            until(lambda: descriptors(running) <= before + 2, 5, "closed descriptors")
            memory = running.memory() - idle.memory()
    expect(memory < 8 * MIB, f"{memory / MIB:.1f} MiB more than an idle sandbox")


@test("a port of the guest's is used again at once, 200 times")
def _():
    with Server(echo) as server:
        expect_equal(sandbox.inside("from_one_port", server.host, server.port, 200), 200)


@test("800 connects into silence do not keep another from its server")
def _():
    with Server(echo) as server:
        seen, seconds = sandbox.inside("besiege", server.host, SILENT4, server.port, 800)
    expect_equal(seen, None)
    expect(seconds < 1, f"connected only after {seconds:.2f} s")


@test("a server that resets while the guest sends much is a reset in the guest, and soon")
def _():
    def handle(connection):
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    script = ("import socket, sys\n"
              "connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)\n"
              "try:\n"
              "    while True: connection.sendall(bytes(1 << 20))\n"
              "except (ConnectionResetError, BrokenPipeError) as error: print(type(error).__name__)\n")
    with Server(handle) as server:
        seen = sandbox.run(*sandbox.PYTHON, "-c", script, server.host, str(server.port), timeout=20)
    expect(seen.strip() in ("ConnectionResetError", "BrokenPipeError"), seen)


MANY_CONNECTIONS = """
import json, socket, sys, time
server = (sys.argv[1], int(sys.argv[2]))
kept, refused = [], 0
for _ in range(60):
    try:
        kept.append(socket.create_connection(server, 5))
    except ConnectionRefusedError:
        refused += 1
held = len(kept)
for connection in kept:
    connection.close()
deadline, again = time.monotonic() + 5, None
while not again and time.monotonic() < deadline:
    try:
        with socket.create_connection(server, 5) as connection:
            connection.sendall(b"x")
            again = connection.recv(1).decode()
    except ConnectionRefusedError:
        pass
print(json.dumps([held, refused, again]))
"""


@test("out of descriptors, nsrun refuses connections, says why once, and serves again when some are free")
def _():
    with Server(echo) as server:
        done = sandbox.nsrun("--", *sandbox.PYTHON, "-c", MANY_CONNECTIONS, server.host, str(server.port),
                             limits=(64, 64))
    expect(done.returncode == 0, done.stderr)
    held, refused, again = json.loads(done.stdout)
    expect(held > 10 and refused > 0 and again == "x", done.stdout)
    expect_equal(done.stderr.count("ulimit -n"), 1, f"warnings in {done.stderr!r}")


MANY_CONVERSATIONS = """
import socket, sys
server = (sys.argv[1], int(sys.argv[2]))
for number in range(2000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", server)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
    last.settimeout(0.5)
    for attempt in range(10):  # the server's own queue may be full of the others' for a while
        try:
            last.sendto(b"last", server)
            while (answer := last.recv(10)) != b"last":
                pass  # an answer to an earlier conversation, whose port this one has now
            print(answer.decode(), flush=True)
            break
        except TimeoutError:
            pass
    sys.stdin.read()
"""


@test("2,000 datagram conversations cost nsrun neither its life nor much memory")
def _():
    with datagram_echo() as port, sandbox.start(*sandbox.PYTHON, "-c", MANY_CONVERSATIONS, SERVER4,
                                                str(port)) as running:
        running.wait_for("last\n", 30)
        peak = running.memory("VmHWM")
    expect(peak < 128 * MIB, f"{peak / MIB:.0f} MiB")
    return f"{peak / MIB:.0f} MiB at most"


@test("closed standard streams are no obstacle")
def _():
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        with Server(echo) as server:
            done = subprocess.run(
                ["sh", "-c", f'"$@" {closed}', "sh", *world.as_user(), sandbox.NSRUN, "--", *sandbox.PYTHON,
                 "-c",
                 f"import socket; socket.create_connection(('{server.host}', {server.port}), 5).close()"],
                                  timeout=20)
            expect_equal(done.returncode, 0, closed)


@test("a client of a published port that does not read stops the guest, not the host's memory")
def _():
    offered = 500 * MIB
    script = ("import socket, sys\n"
              "server = socket.create_server(('0.0.0.0', 80)); print('ready', flush=True)\n"
              "connection = server.accept()[0]\n"
              f"for _ in range(500): connection.sendall(bytes({MIB}))\n"
              "connection.close(); print('sent', flush=True); sys.stdin.read()\n")
    for host in ("127.0.0.1", SERVER4):
        with sandbox.start(*sandbox.PYTHON, "-c", script, options=["-p", "8080:80"]) as running:
            running.wait_for("ready\n")
            before = running.memory()
            with guest.connect(host, 8080, 60) as connection:
                running.until_idle()
                growth = running.memory("VmHWM") - before
                expect_equal(guest.receive_stream(connection)[0], offered, host)
            running.wait_for("sent\n")
        expect(growth < 64 * MIB, f"{host}: nsrun grew by {growth / MIB:.0f} MiB")


@test("a slow reader behind a proxy stops the guest, not the host's memory")
def _():
    offered, read = 300 * MIB, threading.Event()

    def handle(connection):
        read.wait(60)
        connection.sendall(str(guest.receive_stream(connection)[0]).encode())

    with Server(handle) as server, Socks5() as proxy:
        with sandbox.start_guest("offer", server.host, server.port, offered,
                                 options=["--dial", f"socks5://{proxy.host}:{proxy.port}"]) as running:
            before = running.memory()
            running.until_idle()
            growth = running.memory("VmHWM") - before
            read.set()
            running.wait_for(str(offered), 60)
    expect(growth < 64 * MIB, f"nsrun grew by {growth / MIB:.0f} MiB")


@test("a flood of datagrams at a guest that does not read costs the host no memory")
def _():
    script = ("import socket, sys\n"
              "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "one.sendto(b'begin', (sys.argv[1], int(sys.argv[2]))); print('ready', flush=True)\n"
              "sys.stdin.readline(); one.settimeout(5); print(len(one.recv(70000)), flush=True)\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SERVER4, 0))
        server.settimeout(10)
        with sandbox.start(*sandbox.PYTHON, "-c", script, SERVER4, str(server.getsockname()[1])) as running:
            running.wait_for("ready\n")
            _, client = server.recvfrom(100)
            before = running.memory()
            for _ in range(20_000):
                server.sendto(bytes(8000), client)
            growth = running.memory("VmHWM") - before
            running.say("read")
            running.wait_for("8000\n")
    expect(growth < 64 * MIB, f"nsrun grew by {growth / MIB:.0f} MiB")


@test("200 questions at once are each answered")
def _():
    table = {(f"name{number}.example.test", "A"): [f"192.0.2.{number}"] for number in range(200)}
    script = ("import socket, threading\n"
              "seen = []\n"
              "def ask(n): seen.append(socket.gethostbyname(f'name{n}.example.test') == f'192.0.2.{n}')\n"
              "threads = [threading.Thread(target=ask, args=(n,)) for n in range(200)]\n"
              "[t.start() for t in threads]; [t.join() for t in threads]; print(sum(seen))\n")
    with NameServer(table):
        expect_equal(sandbox.run(*sandbox.PYTHON, "-c", script).strip(), "200")
