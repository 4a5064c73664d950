"""Ends: whoever goes first, nothing of a sandbox is left.

    theme (process 1 of the world's pid namespace) ──► nsrun ──► agent ──► command ──► its children
                                                        ✗         ✗         ✗
"""
import os
import signal
import threading
import time

from support import guest, sandbox
from support.servers import Server, echo
from support.theme import expect, expect_equal, test, until
from support.world import RESOLVER4, SILENT4, set_resolvers

IN_A_WORLD = True
SLEEP = "sleep 1000 >/dev/null 2>&1 </dev/null"


def processes():
    """{pid: state and command line} of all but this one and the dead."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as line:
                state = stat.read().rsplit(") ", 1)[1][0]
                if state not in "ZX" and int(pid) != os.getpid():
                    found[int(pid)] = line.read().replace("\0", " ")
        except OSError:
            pass  # it went just now
    return found


def nothing_runs(seconds=2):
    until(lambda: not processes(), seconds, f"an end of {processes()}")


def in_namespace(link):
    """The processes that are in this network namespace."""
    found = []
    for pid in processes():
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == link:
                found.append(pid)
        except OSError:
            pass
    return found


def own_files():
    """What this account has in the usual places, without what a suite running beside this one makes."""
    found = set()
    for directory in ("/tmp", "/var/tmp", "/dev/shm"):
        for name in os.listdir(directory):
            if name.startswith("nsrun-e2e-"):
                continue
            try:
                if os.lstat(f"{directory}/{name}").st_uid == os.getuid():
                    found.add(f"{directory}/{name}")
            except OSError:
                pass
    return found


@test("nothing is left after a normal end: no process, file or mount")
def _():
    before = own_files(), open("/proc/self/mountinfo").read(), os.listdir(".")
    for options in ([], ["--pid", "--uts", "--ipc"], ["--map-root", "-p", "8080:80"]):
        expect_equal(sandbox.nsrun(*options, "--", "sh", "-c", "exit 3").returncode, 3)
    nothing_runs()
    expect_equal((own_files(), open("/proc/self/mountinfo").read(), os.listdir(".")), before)


def numbers():
    """All processes, the dead that nobody has reaped too."""
    return {pid for pid in os.listdir("/proc") if pid.isdigit()}


@test("nothing is left to a first process that does not reap, not even a zombie")
def _():
    before = numbers()
    for options in ([], ["--pid"], ["--default", "deny"], ["--device=veth"], ["--workers=2"]):
        sandbox.run("sh", "-c", f"setsid {SLEEP} & true", options=options)
        expect_equal(numbers() - before, set(), f"left over with {options}")
    expect_equal(sandbox.nsrun("--", "no-such-command").returncode, 127)
    expect_equal(numbers() - before, set(), "left over by a command that is not there")


@test("a killed command ends the sandbox, and its status is 137")
def _():
    with sandbox.start("sh", "-c", f"({SLEEP}) & echo $$; exec {SLEEP}") as running:
        os.kill(int(running.wait_for(r"(\d+)\n")[1]), signal.SIGKILL)
        expect_equal(running.status(), 137)
    nothing_runs()


def killed(*options):
    with Server(echo) as server:
        connected = f"exec 3<>/dev/tcp/{server.host}/{server.port}"
        script = (f"{connected}; setsid {SLEEP} & ({SLEEP} &); trap '' TERM HUP; "
                  f"readlink /proc/self/ns/net; {SLEEP}")
        with sandbox.start("bash", "-c", script, options=options) as running:
            link = running.wait_for(r"(net:\[\d+\])\n")[1].decode()
            expect(in_namespace(link), "the namespace is not found")
            running.signal(signal.SIGKILL)
            expect_equal(running.status(), -signal.SIGKILL)
            nothing_runs()
            expect_equal(in_namespace(link), [])
        expect(server.result(5) in (None, "ECONNRESET"), "the server saw no end of its connection")


@test("when nsrun is killed, everything in the sandbox is gone within 2 s, its connections too")
def _():
    killed()


@test("when nsrun is killed, everything in a sandbox with --pid is gone within 2 s")
def _():
    killed("--pid")


@test("when the agent is killed, the command ends, and nsrun says so")
def _():
    with sandbox.start("sh", "-c", f"echo ready; exec {SLEEP}") as running:
        running.wait_for("ready")
        with open(f"/proc/{running.pid}/task/{running.pid}/children") as children:
            agent = int(children.read().split()[0])
        os.kill(agent, signal.SIGKILL)
        expect_equal(running.status(), 125)
        expect("killed" in running.warnings())
    nothing_runs()


@test("a command that goes into the background leaves nothing behind")
def _():
    done = sandbox.nsrun("--", "sh", "-c", f"setsid {SLEEP} & (setsid {SLEEP} &) ; echo started")
    expect_equal((done.returncode, done.stdout), (0, "started\n"))
    nothing_runs()


@test("with --linger the sandbox lasts until the last process inside has ended, and stays connected")
def _():
    with Server(echo) as server:
        script = 'mkfifo gate; setsid sh -c "read line <gate; exec \\"\\$@\\"" sh "$@" & exit 4'
        ask = sandbox.guest_command("echoed", server.host, server.port, "late")
        with sandbox.start("sh", "-c", script, "sh", *ask, options=["--linger"]) as running:
            until(lambda: os.path.exists("gate") and len(processes()) == 3, what="the command's end")
            expect(running.process.poll() is None, "nsrun ended with the command")
            with open("gate", "w") as gate:
                gate.write("go\n")
            running.wait_for('"late"')
            expect_equal(running.status(), 4)
    os.unlink("gate")
    nothing_runs()


@test("a signal to nsrun ends a sandbox that lingers")
def _():
    with sandbox.start("sh", "-c", f"setsid {SLEEP} & echo ready", options=["--linger"]) as running:
        running.wait_for("ready")
        until(lambda: not any(line.startswith("sh -c") for line in processes().values()),
              what="the command's end")
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 0)
    nothing_runs()


@test("processes that fork as fast as they can do not outlive the sandbox")
def _():
    script = ("for i in 1 2 3 4; do setsid sh -c 'while :; do (true &) ; done' >/dev/null 2>&1 & done; "
              "echo begun")
    for options in ([], ["--pid"]):
        done = sandbox.nsrun(*options, "--", "sh", "-c", script)
        expect_equal((done.returncode, done.stdout), (0, "begun\n"))
        nothing_runs()


@test("nsrun that cannot start leaves nothing behind")
def _():
    expect_equal(sandbox.nsrun("--", "no-such-command").returncode, 127)
    expect_equal(sandbox.nsrun("-p", "1:1", "--dial", "bad", "--", "true").returncode, 2)
    nothing_runs()


@test("50 sandboxes one after the other leave no process and no descriptor")
def _():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        expect_equal(sandbox.nsrun("--", "true").returncode, 0)
    nothing_runs()
    expect_equal(len(os.listdir("/proc/self/fd")), before)


@test("10 sandboxes at once keep apart")
def _():
    running = [sandbox.start("sh", "-c", "readlink /proc/self/ns/net; cat") for _ in range(10)]
    try:
        links = {one.wait_for(r"net:\[(\d+)\]")[1] for one in running}
        for one in running:
            one.process.stdin.close()
        expect_equal([one.status() for one in running], [0] * 10)
    finally:
        for one in running:
            one.__exit__()
    expect_equal(len(links), 10, "network namespaces")
    nothing_runs()


@test("what is still being asked of the world does not hold nsrun back")
def _():
    set_resolvers(SILENT4)
    try:
        script = (f"(exec 3<>/dev/tcp/{SILENT4}/80) & dig +tries=1 +time=30 www.example.test & "
                  "read line; exit 5")
        with sandbox.start("bash", "-c", script, options=["--log", "asked.log"]) as running:
            until(lambda: sum(line.startswith(("dig", "bash")) for line in processes().values()) >= 3,
                  what="dig")
            began = time.monotonic()
            running.say("end")
            expect_equal(running.status(), 5)
            seconds = time.monotonic() - began
        os.unlink("asked.log")
    finally:
        set_resolvers(RESOLVER4)
    expect(seconds < 1.5, f"nsrun took {seconds:.2f} s to end")
    nothing_runs()


@test("a transfer that is cut off by the end of the sandbox ends at the server")
def _():
    with Server(lambda connection: guest.receive_stream(connection)[0]) as server:
        with sandbox.start_guest("offer", server.host, server.port, 1 << 40) as running:
            running.signal(signal.SIGTERM)
            expect_equal(running.status(), 128 + signal.SIGTERM)
        expect(server.result(5) is not None, "no end")
    nothing_runs()


# Waits in the kernel, with all signals blocked, until its child executes a program (vfork(2)): never.
KEPT = """
import os
os.mkfifo("held")
print("ready", flush=True)
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "held", os.O_RDONLY, 0)])
"""


@test("a second SIGTERM ends nsrun though the kernel keeps the command from ending")
def _():
    try:
        with sandbox.start(*sandbox.PYTHON, "-c", KEPT) as running:
            running.wait_for("ready\n")
            agent, = children(running.pid)
            command, = children(agent)
            until(lambda: state_of(command) == "D", what="its wait in the kernel")
            running.signal(signal.SIGTERM)
            until(lambda: not has_pending(running.pid), what="the first to be taken: two that wait are one")
            running.signal(signal.SIGTERM)
            began = time.monotonic()
            expect_equal(running.status(), 128 + signal.SIGTERM)
            expect(time.monotonic() - began < 8, "it took as long as a command that lives may")
            expect("did not end after a second SIGTERM" in running.warnings(), "the reason")
    finally:
        os.unlink("held")
    nothing_runs()


def has_pending(pid):
    with open(f"/proc/{pid}/status") as status:
        return any(int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd")))


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(") ")[2][0]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@test("who does not want to wait for what a command sent last ends nsrun with a signal, Ctrl-C too")
def _():
    leave = threading.Event()
    with Server(lambda connection: leave.wait(20)) as server:
        command = sandbox.guest_command("send_and_leave", server.host, server.port, 3 << 20)
        for number in (signal.SIGTERM, signal.SIGINT):
            with sandbox.start(*command) as running:
                running.wait_for(r'"(\w+)"\n')
                agent, = children(running.pid)
                until(lambda: not children(agent), what="the command's end")
                began = time.monotonic()
                running.signal(number)
                expect_equal(running.status(), 0)
                expect(time.monotonic() - began < 1, "it waited on")
        leave.set()


@test("what a command sent before it ended arrives, or is seen to be cut off; a short stream never looks whole")
def _():
    size, leave = 3 << 20, threading.Event()

    def handle(connection):
        leave.wait(20)
        return guest.receive_stream(connection)

    for _ in range(5):
        leave.clear()
        with Server(handle) as server:
            command = sandbox.guest_command("send_and_leave", server.host, server.port, size)
            with sandbox.start(*command) as running:
                sent = running.wait_for(r'"(\w+)"\n')[1].decode()
                expect_equal(running.status(), 0)
            leave.set()
            seen = server.result()
            expect(seen in ("ECONNRESET", [size, sent]), f"{size} bytes were sent, and received as whole: {seen}")
