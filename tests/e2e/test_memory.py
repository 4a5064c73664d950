"""What a hostile guest can make its host process hold: at most what --network-memory says, whatever it holds it by.

    sandbox                                   world
    floods.py ═══════════ nsrun, bounded ───► 192.0.2.10   echo; a web server
       └─ an old connection ──────────────────────┘
    second sandbox ────── nsrun ─────────────────┘
"""
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time

from support import control, sandbox, world
from support.servers import Server, echo
from support.theme import expect, expect_equal, test
from support.world import SERVER4, SILENT4

IN_A_WORLD = True
MIB = 1 << 20
LIMIT = 128 * MIB  # what is needed to reach the default takes minutes
LEAST = 64 * MIB   # for flows of which there can only be 16,384, and each costs little
OWN = 16 * MIB     # of nsrun without any flow: the program, its libraries
FLOODS = os.path.join(os.path.dirname(os.path.abspath(sandbox.__file__)), "floods.py")
LONGEST_END = 1    # seconds from SIGTERM on
LONGEST_TRIP = 30  # seconds, of a busy machine in the midst of a flood; without memory it is for ever


class Accepting:
    """A server that accepts and says nothing."""

    def __enter__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.listener = socket.create_server((SERVER4, 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.held = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while True:
            try:
                self.held.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.held:
            connection.close()


def besieged(host, port, floods):
    return [*sandbox.PYTHON, FLOODS, "besieged", json.dumps([host, port, floods])]


def waited_for_processor(running):
    """Seconds for which nsrun could have run, and others did (proc(5), schedstat)"""
    with open(f"/proc/{running.pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def time_to_end(running):
    """Seconds from SIGTERM to the end, without those for which a busy machine kept nsrun waiting"""
    began, before = time.monotonic(), waited_for_processor(running)
    waited = before
    running.signal(signal.SIGTERM)
    while running.process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            waited = waited_for_processor(running)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(0.01)
    return time.monotonic() - began - (waited - before)


def survive(floods, options=(), rules=(), limit=LIMIT, warns=True):
    """Through the floods, and after: the host process stays within the limit, other flows go on, and the end is quick.

    `warns`: new flows are refused for certain; else flows that exist may take the memory first."""
    world.set_resolvers(SILENT4)  # what is asked stays open
    with Server(echo, SERVER4) as server:
        if rules:
            rules = [*rules, "--allow", f"{server.host}:{server.port}"]
        options = ["--network-memory", f"{limit // MIB}MiB", *options, *rules]
        with sandbox.start(*besieged(server.host, server.port, floods), options=options) as running:
            said, longest = json.loads(running.wait_for(r"(\[.*\])\n", 80)[1])
            expect_equal(said, ["done"] * len(floods), "the floods")
            expect(longest is not None and longest < LONGEST_TRIP, f"the old connection waited {longest} s")
            expect_equal(sandbox.inside("echoed", server.host, server.port, "word"), "word", "a second sandbox")
            most, warnings = running.memory("VmHWM"), running.warnings()
            ended = time_to_end(running)
    expect(not warns or warnings.count("refusing new flows") == 1, f"warnings: {warnings}")
    expect(most <= limit + OWN, f"the host process held {most / MIB:.0f} MiB")
    expect(ended < LONGEST_END, f"after SIGTERM nsrun took {ended:.2f} s to end")
    return f"{most / MIB:.0f} MiB; the old connection waited {longest:.2f} s; the end took {ended:.2f} s"


@test("connections to the name server that announce long messages")
def _():
    return survive([["name_server_connections", [8_000]]])


@test("UDP sockets with one question each")
def _():
    return survive([["questions", [10_000]]], limit=LEAST)


@test("ping sockets with one large request each")
def _():
    return survive([["pings", [13_000, SERVER4]]], limit=LEAST)


@test("SYNs whose answers nobody acknowledges")
def _():
    return survive([["unacknowledged", [10_000]]], options=["--map-root"])


@test("segments out of order, small ones and large ones")
def _():
    return survive([["out_of_order", [150, 190, 1340, 60_000]], ["out_of_order", [1_200, 4, 60_000, 80_000]]],
                   options=["--map-root"], warns=False)


@test("half heads of HTTP requests")
def _():
    with Accepting() as web:
        return survive([["half_heads", [3_000, SERVER4, web.port]]], rules=["--allow", f"http/{SERVER4}:{web.port}"],
                       warns=False)


@test("connections to the name server, questions and pings at once")
def _():
    return survive([["name_server_connections", [4_000]], ["questions", [4_000]], ["pings", [4_000, SERVER4]]])


@test("SYNs and segments out of order, small ones and large ones, at once")
def _():
    return survive([["out_of_order", [150, 190, 1340, 60_000]], ["out_of_order", [300, 4, 60_000, 80_000]],
                    ["unacknowledged", [6_000]]],
                   options=["--map-root"])


@test("half heads, pings and connections to the name server at once")
def _():
    with Accepting() as web:
        return survive([["half_heads", [1_500, SERVER4, web.port]], ["pings", [4_000, SERVER4]],
                        ["name_server_connections", [4_000]]],
                       rules=["--allow", f"http/{SERVER4}:{web.port}", "--allow", f"icmp/{SERVER4}"])


@test("the memory in use and its limit are told, and a limit that is too small is an error")
def _():
    with control.start("sleep", "60", options=["--network-memory", "100MiB"]) as running:
        memory = control.asked(running, "stats")["memory"]
        expect_equal(memory["limit"], 100 * MIB)
        expect(0 <= memory["used"] < LEAST // 2, f"{memory['used']} bytes are in use")
    for size in ("63MiB", "-1", "many"):
        failed = sandbox.nsrun("--network-memory", size, "--", "true")
        expect(failed.returncode != 0 and "at least 64MiB" in failed.stderr, f"{size}: {failed.stderr}")


@test("while a guest holds all descriptors its flows can be listed and cut")
def _():
    most = 300
    with Accepting() as web, Server(echo, SERVER4) as server:
        floods = [["connections", [most - 30, SERVER4, web.port]]] * 2
        with control.start(*besieged(server.host, server.port, floods), limits=(most, most)) as running:
            running.wait_for(r"(\[.*\])\n", 60)
            expect(len(os.listdir(f"/proc/{running.pid}/fd")) >= most - 20, "descriptors are left")
            for _ in range(3):
                flows = control.asked(running, "flows")["flows"]
                expect(len(flows) > 100, f"{len(flows)} flows")
            control.asked(running, "cut", str(flows[-1]["flow"]))
