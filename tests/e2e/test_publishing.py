"""Published ports: clients of the world reach servers in the sandbox.

    world                                            sandbox
    client 127.0.0.1, ::1 ──► -p port ── nsrun ───► guest.py serve   10.0.2.100, fd00::100
    client 192.0.2.20, 2001:db8::20 ──►                              (who sees the client's address)
"""
import os
import socket
import threading

from support import guest, sandbox
from support.theme import expect, expect_equal, test, until
from support.world import CLIENT4, CLIENT6, SERVER4, SERVER6

IN_A_WORLD = True


def server(*options, host="::", tcp=(), udp=()):
    words = []
    for option in options:
        words += ["-p", option]
    return sandbox.start_guest("serve", host, tcp, udp, options=words)


def answers(host, port, text="hello"):
    """Whether what is sent comes back; -p's port listens before the command does."""
    try:
        return guest.ask(host, port, text)[1] == text
    except (OSError, IndexError):
        return False


@test("a TCP port is reached by every address of the host, IPv4 and IPv6")
def _():
    with server("8080:80", tcp=[80]):
        for host in ("127.0.0.1", "::1", SERVER4, SERVER6):
            expect(answers(host, 8080), host)


@test("a UDP port is reached by every address of the host, IPv4 and IPv6")
def _():
    with server("5353:53/udp", udp=[53]):
        for host in ("127.0.0.1", "::1", SERVER4, SERVER6):
            seen = guest.ask_datagram(host, 5353, "hello")
            expect(seen.endswith("\nhello"), host, seen)


@test("clients that come before the command runs do no harm to those after it")
def _():
    served = threading.Event()

    def knock():
        while not served.is_set():
            for host in ("127.0.0.1", "::1"):
                guest.connect_error(host, 8080)

    early = threading.Thread(target=knock)
    early.start()
    try:
        with server("8080:80", tcp=[80]):
            served.set()
            for host in ("127.0.0.1", "::1"):
                expect(answers(host, 8080), host)
    finally:
        served.set()
        early.join()


@test("what a server sent last reaches a client that reads late, when the server has ended")
def _():
    for host in ("127.0.0.1", SERVER4):
        with sandbox.start_guest("fill_and_leave", 80, options=["-p", "8070:80"]) as running:
            with socket.create_connection((host, 8070), 10) as client:
                sent, process = map(int, running.wait_for(r"(\d+) (\d+)\n", 10).groups())
                until(lambda: not os.path.exists(f"/proc/{process}"), 5, "the server's end")
                received = 0
                while data := client.recv(65536):
                    received += len(data)
            expect_equal(received, sent, host)


@test("one number publishes the same port")
def _():
    with server("8081", tcp=[8081]):
        expect(answers("127.0.0.1", 8081))


@test("several ports and ranges, TCP and UDP, each lead to their own")
def _():
    with server("9000-9002:90-92", "7000:70", "7000:71/udp", tcp=[90, 91, 92, 70], udp=[71]):
        for port in (9000, 9001, 9002, 7000):
            expect(answers("127.0.0.1", port), port)
        expect(guest.ask_datagram("127.0.0.1", 7000, "hello").endswith("hello"))
        expect_equal(guest.connect_error("127.0.0.1", 9003)[0], "ECONNREFUSED", "beyond the range")


@test("a port on one address is on that address alone")
def _():
    with server(f"{SERVER4}:8080:80", f"[{SERVER6}]:8080:80", tcp=[80]):
        expect(answers(SERVER4, 8080) and answers(SERVER6, 8080), "no answer")
        expect_equal(guest.connect_errors([("127.0.0.1", 8080), ("::1", 8080)]), ["ECONNREFUSED"] * 2)


@test("a port in use is an error of its own that names the port, and nothing runs")
def _():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 8080))
        taken.listen()
        done = sandbox.nsrun("-p", "8080:80", "--", "touch", "ran")
    expect_equal(done.returncode, 122)
    expect("8080" in done.stderr and done.stderr.count("\n") == 1, done.stderr)
    expect_equal(guest.connect_error("127.0.0.1", 8080)[0], "ECONNREFUSED", "afterwards")
    expect(not os.path.exists("ran"), "the command ran")


@test("the server sees the address of a client that is not on the host's loopback")
def _():
    with server("8080:80", "5353:53/udp", tcp=[80], udp=[53]):
        for host, client in ((SERVER4, CLIENT4), (SERVER6, CLIENT6)):
            expect_equal(guest.ask(host, 8080, "hello", client)[0], client)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.bind((CLIENT4, 0))
            asking.sendto(b"hello", (SERVER4, 5353))
            expect_equal(asking.recv(100).decode().split("\n")[0], CLIENT4, "for UDP")


@test("an answer to a datagram comes from the address that was asked")
def _():
    with server("5353:53/udp", udp=[53]):
        for host in (SERVER4, CLIENT4, SERVER6, CLIENT6):
            expect(guest.ask_datagram(host, 5353, "hello").endswith("hello"), host)  # a connected socket


@test("a server that listens on IPv4 alone is reached by clients of both families")
def _():
    with server("8080:80", host="0.0.0.0", tcp=[80]):
        for host in ("127.0.0.1", "::1", SERVER4, SERVER6):
            expect(answers(host, 8080), host)


@test("a server that listens on IPv6 alone is reached by clients of both families")
def _():
    with server("8080:80", host="fd00::100", tcp=[80]):
        for host in (SERVER4, SERVER6):
            expect(answers(host, 8080), host)


@test("a client is refused or cut off while no server listens inside, and served once one does")
def _():
    with sandbox.start_shell(options=["-p", "8080:80"]) as shell:
        shell.ask("true")
        expect(not answers("127.0.0.1", 8080), "an answer from nobody")
        shell.say(" ".join([*sandbox.PYTHON, sandbox.GUEST, "serve", "'[\"::\", [80], []]'"]))
        shell.wait_for("ready\n")
        expect(answers("127.0.0.1", 8080), "no answer")


@test("100 clients at once are all served, with 1 MB each")
def _():
    text, wrong = "x" * 1_000_000, []

    def client():
        if not answers("127.0.0.1", 8080, text):
            wrong.append(1)

    with server("8080:80", tcp=[80]):
        threads = [threading.Thread(target=client) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    expect_equal(len(wrong), 0, "clients without an answer")


@test("the port is free again when the sandbox has ended")
def _():
    with server("8080:80", tcp=[80]) as running:
        expect(answers("127.0.0.1", 8080))
        running.process.stdin.close()
        expect_equal(running.status(), 0)
    until(lambda: guest.connect_error("127.0.0.1", 8080)[0] == "ECONNREFUSED", 2, "a refusal")
    with server("8080:80", tcp=[80]):
        expect(answers("127.0.0.1", 8080), "the port cannot be published again")


@test("300 clients that say nothing cost little memory, and those who come beside them are served")
def _():
    with server("8080:80", tcp=[80]) as running:
        expect(answers("127.0.0.1", 8080), "no answer")
        before, idle = running.memory(), []
        try:
            for _ in range(300):
                idle.append(socket.create_connection(("127.0.0.1", 8080), 10))
                expect(idle[-1].recv(100), "a greeting")
            grown = (running.memory() - before) / len(idle)
            for _ in range(50):
                expect(answers("127.0.0.1", 8080, "x" * 100_000), "beside them")
        finally:
            for connection in idle:
                connection.close()
    expect(grown < 16384, f"{grown:.0f} bytes for each")
    return f"{grown:.0f} bytes for each"


@test("where no descriptor is left for a client, that is said once, and the next are served when one is")
def _():
    with sandbox.Running("-p", "8080:80", "--", *sandbox.guest_command("serve", "::", [80], []),
                         limits=(64, 64)) as running:
        running.wait_for("ready\n")
        waiting = []
        try:
            for _ in range(100):
                waiting.append(socket.create_connection(("127.0.0.1", 8080), 10))
            said = until(running.warnings, 10, "a warning")
        finally:
            for connection in waiting:
                connection.close()
        until(lambda: answers("127.0.0.1", 8080), 10, "an answer")
        said += running.warnings()
    expect_equal(said.count("cannot take clients"), 1, said)
