"""A policy that is replaced while flows live.

    sandbox                                world
    guest ── nsrun --policy policy.yaml ─► 192.0.2.10   allowed at first, then not
               ▲ SIGHUP, policy reload     192.0.2.20   allowed throughout
"""
import json
import os
import shutil
import signal
import sys

from support import control, guest, sandbox
from support.servers import Server, datagram_echo, echo
from support.theme import expect, expect_equal, test, until
from support.world import CLIENT4, SERVER4, SILENT4

IN_A_WORLD = True
POLICY = "policy.yaml"
ALL = [SERVER4, CLIENT4, SILENT4]


def allow(*targets):
    with open(POLICY, "w") as file:
        file.write("version: 1\ndefault: reject\nrules:\n" + "".join(f'  - allow: "{t}"\n' for t in targets))


def start(*command, options=(), targets=ALL):
    allow(*targets)
    return control.start(*command, options=["--policy", POLICY, *options])


def flows(running):
    return control.asked(running, "flows")["flows"]


def to(running, host, port):
    """The live flows there."""
    return [flow for flow in flows(running) if flow["peer"] == f"{host}:{port}"]


def reload(running):
    return control.asked(running, "policy", "reload")


@test("what a reload reads is not the sandbox's to choose, and a policy written outside is put in force")
def _():
    os.mkdir("project")
    path = os.path.abspath("project/policy.yaml")
    with open(path, "w") as file:
        file.write("version: 1\nrules: []\n")
    evil = "echo 'default: allow'"
    with control.start("sh", options=["--policy", path]) as shell:
        shell.ask(f"({evil} >project/policy.yaml; {evil} >evil; mv -f evil project/policy.yaml; "
                  "rm -f project/policy.yaml) 2>&1")
        reload(shell)
        expect_equal(control.asked(shell, "policy", "get")["default"], "reject")
        shell.ask(f"mv project away; mkdir project; {evil} >project/policy.yaml")
        error = control.error_of(shell, "policy", "reload")
        expect("is another file now" in error, error)
        shutil.rmtree("project")
        os.rename("away", "project")
        with open(path, "w") as file:
            file.write("version: 1\ndefault: deny\n")
        reload(shell)
        expect_equal(control.asked(shell, "policy", "get")["default"], "deny")


@test("a live connection that the new policy refuses is reset, and one that it allows goes on")
def _():
    for options in ((), ("--workers=2",)):
        with Server(echo) as refused, Server(echo, CLIENT4) as kept, start("bash", options=options) as shell:
            shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{refused.port}; echo hello >&3; read line <&3")
            shell.ask(f"exec 4<>/dev/tcp/{CLIENT4}/{kept.port}; echo hello >&4; read line <&4")
            allow(CLIENT4)
            expect_equal(reload(shell)["flows_cut"], 1, options)
            expect_equal(refused.result(), "ECONNRESET", "the server sees")
            expect("reset" in shell.ask("read line <&3; echo $? 2>&1") or shell.ask("read line <&3; echo $?") == "1")
            expect_equal(shell.ask("echo again >&4; read line <&4; echo $line"), "again")
            expect_equal(len(to(shell, CLIENT4, kept.port)), 1)


@test("SIGHUP reloads the policy, and does not reach the command")
def _():
    with Server(echo) as server, start(*sandbox.guest_command("read_until_error", SERVER4, server.port)) as reader:
        until(lambda: [flow for flow in to(reader, SERVER4, server.port) if flow["bytes_down"]])
        allow(CLIENT4)
        reader.signal(signal.SIGHUP)
        reader.wait_for('"ECONNRESET"')
        expect_equal(reader.status(), 0)


@test("a transfer at full speed is cut in its midst, either way")
def _():
    endless = lambda connection: guest.send_stream(connection, 1 << 40)
    with Server(guest.receive_stream) as sink, Server(endless) as source:
        for words in (("send_and_leave", SERVER4, sink.port, 1 << 40), ("read_until_error", SERVER4, source.port)):
            with start(*sandbox.guest_command(*words)) as mover:
                until(lambda: [flow for flow in to(mover, words[1], words[2])
                               if flow["bytes_up"] + flow["bytes_down"] > 10 << 20], what="10 MiB")
                allow(CLIENT4)
                expect_equal(reload(mover)["flows_cut"], 1, words)
                until(lambda: mover.process.poll() is not None, what="the command's end")


@test("a connection that is being made is refused, and datagrams go nowhere any more")
def _():
    with start(*sandbox.guest_command("connect_error", SILENT4, 80)) as dialling:
        until(lambda: to(dialling, SILENT4, 80))
        allow(CLIENT4)
        expect_equal(reload(dialling)["flows_cut"], 1)
        dialling.wait_for('"ECONNREFUSED"')
    with datagram_echo() as port, start("bash") as shell:
        shell.ask(f"exec 3<>/dev/udp/{SERVER4}/{port}; echo hello >&3")
        until(lambda: [flow for flow in to(shell, SERVER4, port) if flow["bytes_down"]])
        allow(CLIENT4)
        expect_equal(reload(shell)["flows_cut"], 1)
        until(lambda: not to(shell, SERVER4, port), what="its end")
        shell.ask("echo again >&3")
        expect_equal(to(shell, SERVER4, port), [])


@test("a published port's connections are not the policy's")
def _():
    with start(*sandbox.guest_command("serve", "::", [80], []), options=["-p", "8080:80"]) as running:
        running.wait_for("ready")
        with guest.connect("127.0.0.1", 8080) as client:
            client.sendall(b"hello\n")
            expect(client.recv(100))
            allow(CLIENT4)
            expect_equal(reload(running)["flows_cut"], 0)
            client.sendall(b"again\n")
            expect(client.recv(100), "it was cut")


@test("a wrong file leaves the old policy in force, and what is wrong is said with its line")
def _():
    with Server(echo) as server, start("bash") as shell:
        shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3")
        with open(POLICY, "w") as file:
            file.write("version: 1\nrules:\n  - permit: everything\n")
        error = control.error_of(shell, "policy", "reload")
        expect("stays as it was" in error and f"{POLICY}:3" in error, error)
        shell.signal(signal.SIGHUP)
        until(lambda: "stays as it was" in shell.warnings(), what="the warning")
        expect_equal(shell.ask("echo again >&3; read line <&3; echo $line"), "again")
        expect_equal(control.asked(shell, "policy", "get")["generation"], 0)


# Connects without end, from several threads, until it may not any more.
STORM = """
import socket, sys, threading
target, kept = (sys.argv[1], int(sys.argv[2])), []
def connect():
    while True:
        try:
            connection = socket.create_connection(target, 10)
            connection.sendall(b"x")
            kept.append(connection)
            if len(kept) > 300: kept.pop(0)
        except OSError:
            refused.set()
refused = threading.Event()
print("ready", flush=True)
for _ in range(8): threading.Thread(target=connect, daemon=True).start()
sys.stdin.readline()
"""


@test("no connection slips through between the old policy and the new, however many are being made")
def _():
    def listen(connection):
        while connection.recv(100):
            pass

    for options in ((), ("--workers=2",)):
        with Server(listen) as server, start(sys.executable, "-c", STORM, SERVER4, str(server.port),
                                             options=options) as storm:
            storm.wait_for("ready")
            for _ in range(10):
                allow(*ALL)
                reload(storm)
                until(lambda: len(to(storm, SERVER4, server.port)) > 20, what="connections")
                allow(CLIENT4)
                reload(storm)
                passed = [flow for flow in to(storm, SERVER4, server.port) if flow["verdict"] == "allow"]
                expect_equal(len(passed), 0, "flows that slipped through")


@test("every flow that was cut is on record, with the new rule")
def _():
    with Server(echo) as server:
        with start("bash", options=["--log", "log"]) as shell:
            for number in range(3, 8):
                shell.ask(f"exec {number}<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&{number}")
            allow(CLIENT4)
            reload(shell)
        found = [json.loads(line) for line in open("log")]
    expect_equal([(flow["end"], flow["error"]) for flow in found], [("policy", "the policy changed: default")] * 5)
