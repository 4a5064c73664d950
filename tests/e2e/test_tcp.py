"""TCP: the guest sees what the world says, no more and no less.

    sandbox                        world
    guest.py ──── nsrun ───► 192.0.2.10     servers of this theme
                        ├──► 203.0.113.9    silence
                        ├──► 198.51.100.1   unreachable     (no route)
                        └──► 192.88.99.9    no route
"""
import json
import select
import socket
import struct
import threading

from support import guest, sandbox
from support.servers import Server, count_and_tell, echo
from support.theme import expect, expect_equal, test, until
from support.world import (PROHIBITED4, ROUTELESS4, ROUTELESS6, SERVER4, SERVER6, SILENT4, UNREACHABLE4,
                           UNREACHABLE6)

IN_A_WORLD = True
GIB = 1 << 30
MIB = 1 << 20
MOST_GROWTH = 64 * MIB  # of the host process, whatever a sender offers


@test("1 GiB up arrives whole")
def _():
    with Server(count_and_tell) as server:
        sent, answer = sandbox.inside("upload", server.host, server.port, GIB)
    expect_equal(answer, f"{GIB} {sent}")


@test("1 GiB down arrives whole")
def _():
    with Server(lambda connection: guest.send_stream(connection, GIB)) as server:
        got = sandbox.inside("download", server.host, server.port)
        expect_equal(got, [GIB, server.result()])


@test("1,000 connections at once all work, under the usual limit of open files")
def _():
    with Server(echo) as server:
        expect_equal(sandbox.inside("many_connections", server.host, server.port, 1000), [1000, 1000],
                     "opened and echoed")


@test("the guest's half-close reaches the server, whose answer still arrives")
def _():
    def handle(connection):
        size = guest.receive_stream(connection)[0]
        guest.send_stream(connection, 300_000)
        return size

    with Server(handle) as server:
        expect_equal(sandbox.inside("send_then_receive", server.host, server.port, 100_000), 300_000,
                     "bytes back")
        expect_equal(server.result(), 100_000, "bytes at the server")


@test("the server's half-close reaches the guest, whose answer still arrives")
def _():
    def handle(connection):
        guest.send_stream(connection, 100_000)
        return guest.receive_stream(connection)[0]

    with Server(handle) as server:
        expect_equal(sandbox.inside("receive_then_send", server.host, server.port, 300_000), 100_000,
                     "bytes read")
        expect_equal(server.result(), 300_000, "bytes at the server")


@test("a port nobody listens on is refused at once, over IPv4 and IPv6")
def _():
    for host in (SERVER4, SERVER6):
        seen, seconds = sandbox.inside("connect_error", host, 9)
        expect_equal(seen, "ECONNREFUSED", host)
        expect(seconds < 0.5, f"{host}: refused only after {seconds:.2f} s")


@test("unreachable hosts and networks give the errno they give outside")
def _():
    targets = [(host, 80) for host in (UNREACHABLE4, UNREACHABLE6, ROUTELESS4, ROUTELESS6)]
    expect_equal(sandbox.inside("connect_errors", targets), guest.connect_errors(targets))
    expect_equal(guest.connect_errors(targets),
                 ["EHOSTUNREACH", "EHOSTUNREACH", "ENETUNREACH", "ENETUNREACH"])


@test("a prohibited destination is unreachable, at once")
def _():
    seen, seconds = sandbox.inside("connect_error", PROHIBITED4, 80)
    expect_equal(seen, "EHOSTUNREACH")
    expect(seconds < 0.5, f"only after {seconds:.2f} s")


@test("a connect into the void times out, and holds up nothing else")
def _():
    with Server(echo) as server, sandbox.start_shell() as shell:
        shell.say(" ".join(["%s -BSE %s" % (sandbox.PYTHON[0], sandbox.GUEST), "connect_error",
                            f"'[\"{SILENT4}\", 80, 2]' >silent.json & echo begun"]))
        shell.wait_for("begun\n")
        worst = 0.0
        while "Running" in shell.ask("jobs"):
            connect = " ".join([*sandbox.PYTHON, sandbox.GUEST, "connect_error",
                                f"'[\"{SERVER4}\", {server.port}]'"])
            seen, seconds = json.loads(shell.ask(connect))
            expect_equal(seen, None, "a connect meanwhile")
            worst = max(worst, seconds)
        seen, seconds = json.loads(shell.ask("cat silent.json"))
    expect_equal(seen, "timeout")
    expect(1.9 < seconds < 3, f"timed out after {seconds:.2f} s")
    expect(worst < 0.5, f"a connect meanwhile took {worst:.2f} s")


def send_until_full(connection, offered, stalled):
    """Offers a stream; reports how far it went when a second brought no progress, then sends the rest."""
    connection.setblocking(False)
    left, block, told = offered, bytes(65536), False
    while left:
        if not select.select([], [connection], [], 1)[1] and not told:
            told = True
            stalled.append(offered - left)
        try:
            left -= connection.send(block[:min(left, len(block))])
        except BlockingIOError:
            select.select([], [connection], [], 30)
    if not told:
        stalled.append(offered)
    connection.setblocking(True)


@test("a guest that does not read stops the server, not the host's memory")
def _():
    offered, stalled = 500 * MIB, []
    with Server(lambda connection: send_until_full(connection, offered, stalled)) as server:
        with sandbox.start_guest("read_when_told", server.host, server.port) as running:
            before = running.memory()
            taken = until(lambda: stalled, 30, "a server with nowhere to send to")[0]
            growth = running.memory("VmHWM") - before
            expect(taken < offered, "the server got rid of everything, though nobody reads")
            running.say("read")
            running.wait_for(f"{offered}\n", 60)
    expect(growth < MOST_GROWTH, f"nsrun grew by {growth / MIB:.0f} MiB")
    return f"stalled after {taken / MIB:.0f} MiB, nsrun grew by {growth / MIB:.0f} MiB"


@test("a server that does not read stops the guest, not the host's memory")
def _():
    offered, read = 500 * MIB, threading.Event()

    def handle(connection):
        read.wait(60)
        size = guest.receive_stream(connection)[0]
        connection.sendall(str(size).encode())
        return size

    with Server(handle) as server:
        with sandbox.start_guest("offer", server.host, server.port, offered) as running:
            before = running.memory()
            running.until_idle()
            growth = running.memory("VmHWM") - before
            read.set()
            running.wait_for(f"{offered}", 60)
    expect(growth < MOST_GROWTH, f"nsrun grew by {growth / MIB:.0f} MiB")
    return f"nsrun grew by {growth / MIB:.0f} MiB"


@test("the guest's reset in mid-stream is a reset at the server")
def _():
    def handle(connection):
        connection.recv(1)
        connection.sendall(b"y")
        connection.recv(1)
        return "an orderly end"

    with Server(handle) as server:
        sandbox.inside("reset_after_a_byte", server.host, server.port)
        expect_equal(server.result(), "ECONNRESET")


@test("the server's reset in mid-stream is a reset in the guest")
def _():
    def handle(connection):
        connection.recv(1)
        connection.sendall(bytes(100_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Server(handle) as server:
        expect_equal(sandbox.inside("read_until_error", server.host, server.port), "ECONNRESET")


@test("a transfer at every MTU from 576 arrives whole, both ways")
def _():
    size = 20 * MIB
    for options in (["--mtu", "1500"], ["--mtu", "576", "--no-ipv6"], ["--mtu", "1280"]):
        with Server(count_and_tell) as server:
            sent, answer = sandbox.inside("upload", server.host, server.port, size, options=options)
            expect_equal(answer, f"{size} {sent}", options)
        with Server(lambda connection: guest.send_stream(connection, size)) as server:
            expect_equal(sandbox.inside("download", server.host, server.port, options=options),
                         [size, server.result()], options)
