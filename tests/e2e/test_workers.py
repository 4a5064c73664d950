"""Several workers: one sandbox, one policy, one log.

    sandbox ─► tun0 ─► queue 0 ─► worker 0 ─► world
                   └─► queue 1 ─► worker 1 ─► SERVER4
    client ─► -p port ─► worker 0 ─► whichever queue the kernel's hash says
"""
import json
import os
import shlex
import time

from support import guest, sandbox
from support.servers import Server, datagram_echo, echo
from support.theme import expect, expect_equal, test
from support.world import SERVER4

IN_A_WORLD = True
TWO = ["--workers=2"]

MANY_AT_ONCE = """
import socket, sys
server = (sys.argv[1], int(sys.argv[2]))
many = [socket.create_connection(server, 10) for _ in range(300)]
for number, one in enumerate(many): one.sendall(b"%04d" % number)
for number, one in enumerate(many): assert one.recv(4, socket.MSG_WAITALL) == b"%04d" % number
print(len(many))
"""


def many_at_once(server):
    """A shell's words for it."""
    return shlex.join([*sandbox.PYTHON, "-c", MANY_AT_ONCE, server.host, str(server.port)])


def processor_seconds(pid):
    """Of each thread, without the one that only watches (host/services/loop_watchdog.cc)."""
    def of(task):
        fields = open(f"/proc/{pid}/task/{task}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    def watches(task):
        return open(f"/proc/{pid}/task/{task}/comm").read().strip() == "nsrun-watchdog"
    return [of(task) for task in os.listdir(f"/proc/{pid}/task") if not watches(task)]


@test("300 connections at once are spread over two threads, and all in one log")
def _():
    if os.path.exists("log"):
        os.unlink("log")
    with Server(echo) as server, sandbox.start_shell(options=[*TWO, "--log", "log"]) as running:
        expect_equal(running.ask(f"for i in 1 2 3 4; do {many_at_once(server)}; done"), "\n".join(["300"] * 4))
        spent = processor_seconds(running.pid)
        running.say("exit")
        running.status()
    expect_equal(len(spent), 2, "threads")
    expect(min(spent) > 0, f"seconds of the threads: {spent}")
    lines = [json.loads(line) for line in open("log")]
    expect_equal(len(lines), 1200)
    expect_equal(len({line["flow"] for line in lines}), 1200, "different numbers")
    expect(all(line["bytes_up"] == line["bytes_down"] == 4 for line in lines))


@test("fragments, which the kernel gives to a queue of their own, reach their conversation")
def _():
    script = ("import socket, sys\n"
              "for _ in range(20):\n"
              "    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(5)\n"
              "    one.connect((sys.argv[1], int(sys.argv[2])))\n"
              "    for size in (10, 20000, 11, 30000):\n"
              "        one.send(bytes(size)); assert len(one.recv(65536)) == size\n")
    with datagram_echo() as port:
        sandbox.run(*sandbox.PYTHON, "-c", script, SERVER4, str(port), options=[*TWO, "--mtu=1500"])


@test("a published connection goes on after a pause in which the kernel forgets which queue it was on")
def _():
    forgets = 3  # seconds: TUN_FLOW_EXPIRE in the kernel's drivers/net/tun.c
    with sandbox.start_guest("serve", "::", [80], [], options=[*TWO, "-p", "8080:80"]):
        many = [guest.connect(SERVER4, 8080) for _ in range(8)]
        time.sleep(forgets + 1)
        for connection in many:
            connection.sendall(b"hello")
            connection.shutdown(1)
        for connection in many:
            answer = b"".join(iter(lambda: connection.recv(100), b""))
            expect(answer.endswith(b"\nhello"), answer)
            connection.close()


@test("what was sent last arrives, whichever worker has it")
def _():
    with Server(guest.receive_stream) as server:
        script = ("import socket, sys\n"
                  "for _ in range(10):\n"
                  "    one = socket.create_connection((sys.argv[1], int(sys.argv[2]))); one.sendall(bytes(300000))\n")
        sandbox.run(*sandbox.PYTHON, "-c", script, server.host, str(server.port), options=TWO)
        expect_equal([server.result()[0] for _ in range(10)], [300000] * 10)


@test("a number of workers that cannot be is an error that says which can")
def _():
    for wrong in ("0", "17", "many", ""):
        done = sandbox.nsrun(f"--workers={wrong}", "--", "true")
        expect_equal(done.returncode, 2, wrong)
        expect("1 to 16" in done.stderr, done.stderr)
    for wrong in ("fast", ""):
        done = sandbox.nsrun(f"--latency={wrong}", "--", "true")
        expect_equal(done.returncode, 2, wrong)
        expect("auto, low or cpu" in done.stderr, done.stderr)


@test("an idle sandbox costs no processor time, at any latency")
def _():
    for latency in ("auto", "low", "cpu"):
        with Server(echo) as server, sandbox.start_shell(options=[f"--latency={latency}"]) as running:
            expect_equal(running.ask(many_at_once(server)), "300")
            running.until_idle()
            before = sum(processor_seconds(running.pid))
            time.sleep(1)
            spent = sum(processor_seconds(running.pid)) - before
        expect(spent < 0.1, f"{latency}: {spent} s")
