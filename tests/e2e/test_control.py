"""The control socket: who may ask, what is answered, and what a running sandbox does about it.

    sandbox                          world
    guest ──────── nsrun ─────────► 192.0.2.10
      ╎              ▲ control.sock
      ╎              │
      ╎           nsrun ctl            in nsrun's user namespace: is heard
      └╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘                 in the guest's: is not, root there or not
"""
import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
import termios
import time

from support import control, guest, sandbox
from support.servers import Server, datagram_echo, echo
from support.theme import expect, expect_equal, need, test, until
from support.world import SERVER4, as_user

IN_A_WORLD = True

# Connects from inside, asks, and prints what it heard.
INTRUDER = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
try:
    connection.connect(sys.argv[1].replace("@", chr(0)))
    try:
        connection.sendall(b'{"request": "stats"}' + bytes([10]))
    except BrokenPipeError:
        pass  # there is an answer all the same
    print(connection.recv(65536).decode().strip() or "closed")
except OSError as error:
    print(type(error).__name__)
"""


def intrude(shell, path=control.SOCKET):
    with open("intruder.py", "w") as file:
        file.write(INTRUDER)
    return shell.ask(f"{sys.executable} intruder.py {path}")


def ready(descriptor, seconds=0):
    return bool(select.select([descriptor], [], [], seconds)[0])


def live(running, peer):
    """The flows to this peer."""
    return [flow for flow in control.asked(running, "flows")["flows"] if flow["peer"] == peer]


@test("the socket is its owner's alone, and gone when nsrun is")
def _():
    with control.start("sh") as shell:
        mode = os.stat(control.SOCKET).st_mode
        expect(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode))
        shell.say("exit")
        shell.status()
    expect_equal([name for name in os.listdir(".") if "sock" in name or "nsrun" in name], [], "left behind")


@test("a socket that nobody listens at is replaced; a file, a listener and a long path are errors")
def _():
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind("stale.sock")
    expect_equal(sandbox.nsrun("--control", "stale.sock", "--", "true").returncode, 0, "stale")
    with open("a-file", "w") as file:
        file.write("precious")
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind("taken.sock")
        taken.listen()
        for path, word, status in (("a-file", "another file", 125), ("taken.sock", "another program listens", 125),
                                   ("x" * 200, "too long", 2), ("no/such/place", "No such file", 125)):
            done = sandbox.nsrun("--control", path, "--", "touch", "ran")
            expect_equal(done.returncode, status, path)
            expect(word in done.stderr and done.stderr.count("\n") == 1, done.stderr)
            expect(not os.path.exists("ran"), "the command ran")
    expect_equal(open("a-file").read(), "precious")


@test("a flow that lives is told of with its figures, and no longer once it has ended")
def _():
    with Server(echo) as server, control.start("bash") as shell:
        peer = f"{SERVER4}:{server.port}"
        shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3")
        (flow,) = live(shell, peer)
        expect_equal([flow[name] for name in ("protocol", "asker", "verdict", "bytes_up", "bytes_down", "end")],
                     ["tcp", "guest", "allow", 6, 6, "open"])
        words = control.ctl(shell, "flows").stdout
        expect(peer in words and words.startswith("FLOW"), words)
        words = control.ctl(shell, "top").stdout
        expect(peer in words, words)
        shell.ask("exec 3>&-")
        until(lambda: not live(shell, peer), what="its end")
        expect(control.asked(shell, "stats")["tcp"]["flows"] >= 1)


@test("top shows live flows in a terminal, anew each second, and leaves the terminal as it was")
def _():
    with Server(echo) as server, control.start("bash") as shell:
        shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3")
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        for ending in (lambda top: os.write(ours, b"q"), lambda top: top.send_signal(signal.SIGINT)):
            top = subprocess.Popen([*control.beside(shell), sandbox.NSRUN, "ctl", control.SOCKET, "top"],
                                   stdin=theirs, stdout=theirs)
            seen = b""
            until(lambda: ready(ours), what="output")
            while seen.count(f"{SERVER4}:{server.port}".encode()) < 2:
                expect(ready(ours, 10), seen)
                seen += os.read(ours, 65536)
            ending(top)
            expect_equal(top.wait(10), 0)
            while ready(ours):
                seen += os.read(ours, 65536)
            expect(seen.endswith(b"\x1b[?1049l"), seen[-50:])
            expect_equal(termios.tcgetattr(theirs), before, "the terminal")


@test("a flow is cut by its number, whoever carries it: a splice, a relay, a dial, datagrams")
def _():
    with Server(echo) as server, datagram_echo() as port:
        for options in ((), ("--workers=2",)):
            with control.start(*sandbox.guest_command("read_until_error", SERVER4, server.port),
                               options=["--log", "log", *options]) as reader:
                (flow,) = until(lambda: [f for f in live(reader, f"{SERVER4}:{server.port}") if f["bytes_down"]])
                control.asked(reader, "cut", str(flow["flow"]))
                reader.wait_for('"ECONNRESET"')
        with control.start(*sandbox.guest_command("connect_error", "203.0.113.9", 80)) as dialling:
            (flow,) = until(lambda: live(dialling, "203.0.113.9:80"))
            control.asked(dialling, "cut", str(flow["flow"]))
            dialling.wait_for('"ECONNREFUSED"')
        with control.start("bash") as shell:
            shell.ask(f"exec 3<>/dev/udp/{SERVER4}/{port}; echo hello >&3")
            (flow,) = until(lambda: [f for f in live(shell, f"{SERVER4}:{port}") if f["bytes_down"]])
            control.asked(shell, "cut", str(flow["flow"]))
            until(lambda: not live(shell, f"{SERVER4}:{port}"), what="the end of the datagram flow")
            shell.ask("echo again >&3")
            until(lambda: live(shell, f"{SERVER4}:{port}"), what="a new one")
            expect("no flow has the number" in control.error_of(shell, "cut", str(flow["flow"])))
    expect_equal({json.loads(line)["end"] for line in open("log")}, {"policy"})


@test("flows of a published port are told of and cut, on the host's loopback too")
def _():
    command = sandbox.guest_command("serve", "::", [80], [])
    for host in ("127.0.0.1", SERVER4):
        with control.start(*command, options=["-p", "8080:80"]) as running:
            running.wait_for("ready")
            with socket.create_connection((host, 8080), 10) as client:
                client.sendall(b"hello\n")
                expect(client.recv(100), "no answer")
                (flow,) = [f for f in control.asked(running, "flows")["flows"] if f["asker"] == "client"]
                control.asked(running, "cut", str(flow["flow"]))
                try:
                    while client.recv(100):
                        pass
                    seen = "the end"
                except OSError as error:
                    seen = guest.name_of(error)
                expect_equal(seen, "ECONNRESET", host)


@test("ports are published, listed and taken back while the sandbox runs")
def _():
    with control.start(*sandbox.guest_command("serve", "::", [80], [53]), options=["-p", "8080:80"]) as running:
        running.wait_for("ready")
        control.asked(running, "publish", "add", "9000:80")
        control.asked(running, "publish", "add", "9053:53/udp")
        expect_equal(guest.ask("127.0.0.1", 9000, "hello")[1], "hello")
        expect(guest.ask_datagram("127.0.0.1", 9053, "hello").endswith("hello"))
        ports = [(p["protocol"], p["host_port"], p["guest_port"]) for p in control.asked(running, "publish", "list")["ports"]]
        expect_equal(ports, [("tcp", 8080, 80), ("tcp", 9000, 80), ("udp", 9053, 53)])
        expect("in use" in control.error_of(running, "publish", "add", "9000:80"))
        expect("8999-9000" in control.error_of(running, "publish", "add", "8999-9000:80"), "a wrong range")
        expect("in use" in control.error_of(running, "publish", "add", "8999-9000:79-80"), "half a range")
        expect_equal(guest.connect_errors([("127.0.0.1", 8999)]), ["ECONNREFUSED"], "all of a range or none of it")
        for port in ("8080:80", "9000:80", "9053:53/udp"):
            control.asked(running, "publish", "remove", port)
        expect_equal(guest.connect_errors([("127.0.0.1", 8080), ("127.0.0.1", 9000)]), ["ECONNREFUSED"] * 2)
        expect("no such port" in control.error_of(running, "publish", "remove", "9000:80"))
        control.asked(running, "publish", "add", "9000:80")
        expect_equal(guest.ask("127.0.0.1", 9000, "hello")[1], "hello", "published again")


@test("a capture begins and ends at a request")
def _():
    with Server(echo) as server, control.start("bash") as shell:
        connect = f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; exec 3>&-"
        shell.ask(connect)
        control.asked(shell, "capture", "start", "some.pcapng")
        expect("already" in control.error_of(shell, "capture", "start", "other.pcapng"))
        shell.ask(connect)
        control.asked(shell, "capture", "stop")
        size = os.path.getsize("some.pcapng")
        expect(size > 300, "no packets", size)
        shell.ask(connect)
        expect_equal(os.path.getsize("some.pcapng"), size, "afterwards")
        expect("no capture" in control.error_of(shell, "capture", "stop"))
        expect("cannot write" in control.error_of(shell, "capture", "start", "no/such/place"))


@test("the rules in force are told")
def _():
    with control.start("sh", options=["--allow", "example.test:443", "--deny", "10.0.0.0/8"]) as shell:
        policy = control.asked(shell, "policy", "get")
        expect_equal([rule["rule"] for rule in policy["rules"]], ["allow example.test:443", "deny 10.0.0.0/8"])
        expect_equal(policy["default"], "reject")
        expect("no policy" in control.error_of(shell, "policy", "reload"))


@test("faults are added, changed for flows that live, listed and taken away")
def _():
    def seconds(shell):
        began = time.monotonic()
        expect_equal(shell.ask("echo hello >&3; read line <&3; echo $line"), "hello")
        return time.monotonic() - began

    with Server(echo) as server, control.start("bash") as shell:
        connect = f"exec 3<>/dev/tcp/{SERVER4}/{server.port}"
        control.asked(shell, "fault", "add", f"latency=400ms @ {SERVER4}")
        expect_equal([(f["fault"], f["match"]) for f in control.asked(shell, "fault", "list")["faults"]],
                     [("latency=400ms", SERVER4)])
        shell.ask(connect)
        expect(seconds(shell) >= 0.4, "no latency")
        control.asked(shell, "fault", "add", f"latency=1s @ {SERVER4}")
        expect(seconds(shell) >= 1, "not changed")
        expect_equal(control.asked(shell, "fault", "remove", SERVER4)["faults"], [])
        expect(seconds(shell) < 0.4, "it is still there")
        shell.ask(connect)
        expect(seconds(shell) < 0.4, "a new flow has it")
        expect("no fault has the match" in control.error_of(shell, "fault", "remove", SERVER4))
        expect("latencies" in control.error_of(shell, "fault", "add", f"latencies=1s @ {SERVER4}"))
        error = control.error_of(shell, "fault", "add", "packets:loss=10%")
        expect("at the start" in error, error)


@test("a guest is not heard, root inside or not, in namespaces of its own making or with another's descriptor")
def _():
    for options in ((), ("--map-root",), ("--map-root", "--pid")):
        with control.start("sh", options=options) as shell:
            seen = intrude(shell)
            expect('"ok":false' in seen and "refuses this process" in seen, options, seen)
            own = shell.ask(f"unshare --user --map-root-user {sys.executable} intruder.py {control.SOCKET}")
            expect("refuses this process" in own or "unshare" in own, options, own)
            expect_equal(intrude(shell, "@" + os.path.abspath(control.SOCKET)), "ConnectionRefusedError", "abstract")
            expect_equal(intrude(shell, "@" + control.SOCKET), "ConnectionRefusedError", "abstract")
            done = shell.ask(f"{sandbox.NSRUN} ctl {control.SOCKET} stats 2>&1")
            expect("not an nsrun of this account" in done or "refuses this process" in done, options, done)


@test("a process of another user namespace beside nsrun's is not heard")
def _():
    with control.start("sh") as shell:
        done = subprocess.run([*as_user(), sandbox.NSRUN, "ctl", control.SOCKET, "stats"], text=True,
                              capture_output=True, timeout=30)
        expect(done.returncode == 125 and "user namespace" in done.stderr, done.returncode, done.stderr)


# Connects outside, and lets a sandbox ask with the connection.
HAND_OVER = """
import os, socket, subprocess, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b'{"request": "stats"}' + bytes([10]))
assert b'"ok":true' in connection.recv(65536)
os.set_inheritable(connection.fileno(), True)
asking = '''import socket; c = socket.socket(fileno=%d); c.sendall(b'{"request": "stats"}' + bytes([10]));
print(c.recv(65536).decode())''' % connection.fileno()
command = [sys.argv[2], *sys.argv[3:], "--", sys.executable, "-c", asking]
print(subprocess.run(command, close_fds=False, capture_output=True, text=True))
"""


@test("a connection that a guest inherited is of no use to it")
def _():
    with control.start("sh") as shell:
        for options in ((), ("--map-root",)):
            done = subprocess.run([*control.beside(shell), sys.executable, "-c", HAND_OVER, control.SOCKET,
                                   sandbox.NSRUN, *options], text=True, capture_output=True, timeout=60)
            expect("refuses this process" in done.stdout, done.stdout, done.stderr)


@test("requests that are not understood are answered, and a connection goes on after them")
def _():
    with control.start("sh") as shell:
        lines = [b"nonsense", b"[1]", b'{"request": 7}', b'{"request": "no such"}', b'{"request": "flows", "after": -1}',
                 b'{"request": "publish.add"}', b'{"request": "publish.add", "port": "x"}', b'{"id": 5, "request": "stats"}',
                 b'{"request": "help"}']
        answers = control.raw(shell, b"\n".join(lines) + b"\n")
        expect_equal([answer["ok"] for answer in answers], [False] * 7 + [True] * 2)
        expect(all(answer["error"] for answer in answers[:7]))
        expect_equal(answers[7]["id"], 5)
        expect("policy.reload" in answers[8]["result"])
        (answer,) = control.raw(shell, b"x" * 100_000)
        expect("64 KiB" in answer["error"], answer)


# Connects often, asks much, and never reads.
DEAF = """
import socket, sys
connections = []
for _ in range(int(sys.argv[2])):
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    connection.connect(sys.argv[1])
    try:
        for _ in range(100000):
            connection.send(b'{"request": "policy.get"}' * 1 + bytes([10]))
    except BlockingIOError:
        pass
    connections.append(connection)
print("ready", flush=True)
sys.stdin.readline()
"""


@test("clients that never read do not keep the network waiting, and too many are turned away")
def _():
    with Server(echo) as server, control.start("bash") as shell:
        deaf = subprocess.Popen([*control.beside(shell), sys.executable, "-c", DEAF, control.SOCKET, "15"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            expect_equal(deaf.stdout.readline(), "ready\n")
            began = time.monotonic()
            seen = shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3; echo $line")
            expect_equal(seen, "hello")
            control.asked(shell, "stats")
            expect(time.monotonic() - began < 5, "it took", time.monotonic() - began)
            two = subprocess.Popen([*control.beside(shell), sys.executable, "-c", DEAF, control.SOCKET, "1"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            expect_equal(two.stdout.readline(), "ready\n")
            expect("too many" in control.error_of(shell, "stats"))
            two.communicate("\n")
        finally:
            deaf.communicate("\n")
        until(lambda: control.ctl(shell, "stats").returncode == 0, what="an answer, once they have gone")


@test("wrong words to nsrun ctl are errors of usage that say what is right")
def _():
    for words, expected in ((["ctl"], "no control socket"), (["ctl", "s"], "no command"),
                            (["ctl", "s", "nonsense"], "nonsense"), (["ctl", "s", "cut", "x"], "not the number"),
                            (["ctl", "s", "publish", "add"], "publish add")):
        done = sandbox.nsrun(*words)
        expect_equal(done.returncode, 2, words)
        expect(expected in done.stderr, done.stderr)
    done = sandbox.nsrun("ctl", "nowhere", "stats")
    expect(done.returncode == 125 and "--control nowhere" in done.stderr, done.returncode, done.stderr)
    expect("capture start FILE" in sandbox.nsrun("ctl", "--help").stdout)


@test("with a control socket connections are accelerated only when that is said, and it is told what that costs")
def _():
    done = sandbox.nsrun("--control", control.SOCKET, "--accelerate=on", "--", "true")
    expect("cannot be cut" in done.stderr, done.stderr)
    expect_equal(sandbox.nsrun("--control", control.SOCKET, "--accelerate=auto", "--", "true").stderr, "")
