"""--accelerate: connected sockets of the host's in place of the command's own, and what must not come of it.

    sandbox                                world, 192.0.2.10
    sockets.py ── connect ─► nsrun ──────► echo server
         ▲                     │ dials
         └── the dialled socket┘           127.0.0.1: a server that must never be met
"""
import json
import os
import socket
import struct
import threading

from support import guest, sandbox, sockets
from support.servers import Server, count_and_tell, echo
from support.theme import Skip, expect, expect_equal, test, until
from support.world import PROHIBITED4, SERVER4, SERVER6, SILENT4, UNREACHABLE4

IN_A_WORLD = True
ON = ["--accelerate"]
PROGRAM = os.path.abspath(sockets.__file__)
LANDLOCK_CREATE_RULESET, VERSION = 444, 1


def need_landlock():
    abi = sockets.libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION)
    if abi < 4:
        raise Skip(f"Landlock rules TCP from its version 4 on, and this kernel has {max(abi, 0)}")


def command(function, *arguments):
    return [*sandbox.PYTHON, PROGRAM, function, json.dumps(arguments)]


def inside(function, *arguments, options=ON):
    need_landlock()
    return json.loads(sandbox.run(*command(function, *arguments), options=options))


def flows_of(words, options=ON):
    """What a command prints, and the records of its flows"""
    need_landlock()
    done = sandbox.nsrun(*options, "--log", "-", "--", *words)
    flows = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return done.stdout, flows


@test("a blocking connect ends with a socket of the host's, over IPv4 and IPv6, and the log says so")
def _():
    for host in (SERVER4, SERVER6):
        with Server(echo, host) as server:
            seen, flows = flows_of(command("blocking", host, server.port))
            expect_equal(json.loads(seen), [True, [host, server.port], True])
            expect_equal([(flow["end"], flow["verdict"], flow["bytes_up"]) for flow in flows],
                         [("injected", "allow", None)])


@test("a non-blocking connect is in progress, writable at once, and stays non-blocking")
def _():
    with Server(echo) as server:
        expect_equal(inside("non_blocking", SERVER4, server.port),
                     ["EINPROGRESS", True, 0, True, True, "EISCONN", True])


@test("without --accelerate, and with --accelerate=off or --pcap, everything goes through the device")
def _():
    with Server(echo) as server:
        for options in ([], ["--accelerate=off"], ["--accelerate=auto", "--pcap", "/dev/null"]):
            expect_equal(inside("blocking", SERVER4, server.port, options=options)[0], False, options)
        done = sandbox.nsrun("--accelerate", "--pcap", "/dev/null", "--", "true")
        expect("nothing is accelerated" in done.stderr, done.stderr)


@test("a descriptor closes on exec as it did before")
def _():
    with Server(echo) as server:
        expect_equal(inside("close_on_exec", SERVER4, server.port), [[True, True], [True, True]])


@test("options set before the connect are set after it, and none that were not")
def _():
    with Server(echo) as server:
        for chosen in (True, False):
            injected, before, after = inside("options_kept", SERVER4, server.port, chosen)
            expect(injected, "not injected")
            expect_equal(after, before, f"chosen {chosen}")


@test("a socket that something else knows goes through the device: copies, forks, epoll sets, bound ports")
def _():
    with Server(echo) as server:
        expect_equal(inside("duplicated", SERVER4, server.port), [False, True], "a copy")
        expect_equal(inside("forked", SERVER4, server.port), [False, True], "a fork")
        expect_equal(inside("registered", SERVER4, server.port), [False, True, True], "an epoll set")
        expect_equal(inside("bound", SERVER4, server.port), [False, True, True], "a port of its own")
        expect_equal(inside("both_mapped", SERVER4, server.port), [f"::ffff:{SERVER4}", True], "a mapped address")


@test("what stays in the sandbox stays there: its loopback, and its unix sockets with their peers' ids")
def _():
    expect_equal(inside("within", SERVER4, 0), [True, True])


@test("threads connect at once, each to its own")
def _():
    with Server(echo) as server:
        expect_equal(inside("threaded", SERVER4, server.port, 16, 20), [320, 320])


@test("1,000 connections at once all work")
def _():
    with Server(echo) as server:
        need_landlock()
        expect_equal(sandbox.inside("many_connections", SERVER4, server.port, 1000, options=ON), [1000, 1000])


@test("100 MiB arrive whole both ways, with half-closes")
def _():
    size = 100 << 20
    with Server(count_and_tell) as server:
        sent, told = sandbox.inside("upload", SERVER4, server.port, size, options=ON)
        expect_equal(told, f"{size} {sent}")
    with Server(lambda connection: guest.send_stream(connection, size)) as server:
        got, checksum = sandbox.inside("download", SERVER4, server.port, options=ON)
        expect_equal([got, checksum], [size, server.result()])


@test("refused and unreachable targets give the errno they give through the device")
def _():
    targets = [(SERVER4, 9), (SERVER6, 9), (UNREACHABLE4, 80), (PROHIBITED4, 80), ("10.0.2.2", 80),
               ("127.0.0.1", 9), ("169.254.1.1", 80)]
    expected = sandbox.inside("connect_errors", targets, 3)
    expect_equal(sandbox.inside("connect_errors", targets, 3, options=ON), expected)


@test("nonsense gets the errno that a kernel gives it")
def _():
    with Server(echo) as server:
        expected = sockets.misused(SERVER4, server.port)
        expect_equal(inside("misused", SERVER4, server.port), expected)


def dropped_syns():
    """How many SYNs full queues have cost in this network namespace"""
    with open("/proc/net/netstat") as file:
        names, numbers = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(numbers[names.index("ListenDrops")])


class Crowded:
    """A listener whose queue is full until relieve(): the kernel drops SYNs, and connects take long."""

    def __enter__(self):
        self.listener = socket.create_server((SERVER4, 0), backlog=0)
        self.port = self.listener.getsockname()[1]
        self.first = socket.create_connection((SERVER4, self.port))
        self.accepted = 0
        return self

    def relieve(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                connection, peer = self.listener.accept()
                if peer != self.first.getsockname():
                    self.accepted += 1
                    threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def _answer(connection):
        with connection:
            echo(connection)

    def __exit__(self, *_):
        self.first.close()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def connect_slowly(function, *arguments):
    """[what the function says, how many connections the server had, the ends of the flows]"""
    need_landlock()
    before = dropped_syns()
    with Crowded() as server, sandbox.Running(*ON, "--log", "log", "--",
                                              *command(function, SERVER4, server.port,
                                                       *arguments)) as running:
        running.wait_for("ready\n")
        until(lambda: dropped_syns() > before, what="a lost SYN")
        server.relieve()
        seen = json.loads(running.wait_for(r"\[.*\]\n")[0])
        running.status()
        with open("log") as log:
            ends = [json.loads(line)["end"] for line in log]
        os.unlink("log")
        return seen, server.accepted, ends


@test("a slow target does not hold up a non-blocking connect, and is dialled once")
def _():
    (waited, error, speaks), accepted, ends = connect_slowly("slow")
    expect(waited < 0.2, f"connect took {waited:.2f} s")
    expect_equal([error, speaks, accepted, ends], [0, True, 1, ["closed"]])


@test("a blocking connect that signals interrupt again and again is dialled once, and injected")
def _():
    (error, speaks), accepted, ends = connect_slowly("interrupted")
    expect_equal([error, speaks, accepted, ends], [None, True, 1, ["injected"]])


@test("a blocking connect ends at the program's own limit, and at a signal")
def _():
    limit, alarm = inside("impatient", SILENT4, 80)
    expect(limit[0] == "EINPROGRESS" and 0.2 < limit[1] < 1, limit)
    expect(alarm[0] == "EINTR" and 0.2 < alarm[1] < 1, alarm)


@test("processes that are killed while they connect cost the others nothing")
def _():
    with Server(echo) as server:
        expect_equal(inside("killed_while_connecting", SILENT4, 50, SERVER4, server.port), True)


@test("a guest that keeps nsrun waiting keeps neither packets waiting nor the end")
def _():
    with Server(echo) as server, Server(lambda _: threading.Event().wait(60)) as mute:
        (spoken, seconds), _, _ = connect_slowly("lingering", server.port, mute.port)
        expect(spoken and seconds < 2, f"{spoken}: ten words and their answers took {seconds:.2f} s")


@test("thousands of connects that were given up while they were dialled do not hold up others")
def _():
    error, seconds = inside("abandoned", SILENT4, 5000, 50)
    expect_equal(error, "ECONNREFUSED")
    expect(seconds < 2, f"a unix connect took {seconds:.2f} s")


def reset(connection):
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@test("an injected socket that its peer has reset is not bound to the host's ports")
def _():
    with Server(reset) as server:
        expect_equal(inside("bound_after_reset", SERVER4, server.port), [True, "EINVAL"])


@test("an injected socket cannot be used for anything else, not even by a guest that is root")
def _():
    for options in (ON, [*ON, "--map-root"]):
        cannot_be_reused(options)


def cannot_be_reused(options):
    with Server(echo) as server:
        expect_equal(inside("reconnected", SERVER4, server.port, "127.0.0.1", 80, options=options),
                     {"injected": True, "disconnect": "ENOTSUP", "connect": "EISCONN", "listen": "EINVAL", "bind": "EINVAL",
                      "fast open": "ENOTSUP", "fast open, sendmsg": "ENOTSUP", "source route": "EPERM",
                      "source route 6": "EPERM", "another interface": "EPERM", "another protocol": "EPERM",
                      "io_uring": "ENOSYS",
                      "speaks": True})


@test("a thread that changes the address under a connect gets nowhere it may not")
def _():
    with Server(echo) as server, Server(echo, "127.0.0.1") as forbidden:
        made = inside("swap_address", SERVER4, server.port, "10.0.2.2", forbidden.port, 3)
        made += inside("swap_address", SERVER4, server.port, "127.0.0.1", forbidden.port, 3)
        expect(forbidden._results.empty(), "the forbidden server was met")
    return f"{made} connects"


@test("a thread that puts an injected socket in a unix socket's place can disconnect it, and no more")
def _():
    with Server(echo) as server, Server(echo, "127.0.0.1") as forbidden:
        notes = []
        for options in (ON, [*ON, "--map-root"]):
            made, disconnected, answers = inside("swap_descriptor", SERVER4, server.port, "127.0.0.1",
                                                 forbidden.port, 3, options=options)
            expect(forbidden._results.empty(), "the forbidden server was met")
            expect(set(answers) <= {"EACCES", "EINVAL"}, answers)
            notes.append(f"{made} connects, {disconnected} sockets disconnected")
    return "; as root ".join(notes)


@test("a sandbox in an accelerated sandbox runs, and says that it is not accelerated itself")
def _():
    with Server(echo) as server:
        need_landlock()
        done = sandbox.nsrun(*ON, "--", sandbox.NSRUN, *ON, "--", *command("blocking", SERVER4, server.port))
        if "/dev/net/tun" in done.stderr or "namespaces" in done.stderr:
            raise Skip(done.stderr.strip())
        expect_equal(json.loads(done.stdout), [False, [SERVER4, server.port], True])
        expect("runs without acceleration" in done.stderr, done.stderr)


BLOCKING = """
import fcntl, os, socket, sys
one = socket.socket()
copy = os.dup(one.fileno())
before = fcntl.fcntl(one, fcntl.F_GETFL)
one.connect((sys.argv[1], int(sys.argv[2])))
assert fcntl.fcntl(one, fcntl.F_GETFL) == before, "the file's flags are others"
one.sendall(b"x")
assert one.recv(1) == b"x"
"""


@test("a blocking socket that is connected through the device is left blocking")
def _():
    with Server(echo) as server:
        sandbox.run(*sandbox.PYTHON, "-c", BLOCKING, server.host, str(server.port), options=["--accelerate"])
