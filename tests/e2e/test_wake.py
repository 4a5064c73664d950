"""nsrun wake: what is connected to is started, and stopped when nobody uses it.

    client ──► nsrun wake ──► 127.0.0.1:PORT      a server that runs only now and then:
                   ╎                              a process, a unit of a systemctl that is a script,
                   └╌╌ starts, stops ╌╌╌╌╌╌╌╌╌╌►  containers of a Docker API that is scripted
"""
import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import ssl
import statistics
import sys
import threading
import time

from support import sandbox
from support.docker_api import Container, DockerApi, listener
from support.services import Log, Service, broken_off, failing, free_port
from support.theme import expect, expect_equal, test, until
from support.tls import certificate

HERE = "127.0.0.1"
IN_A_WORLD = True
API = "docker.sock"

# Answers each connection with what it said, its own process id first; udp likewise.
SERVER = """
import os, socket, sys, threading
kind, port = sys.argv[1], int(sys.argv[2])
print("started", os.getpid(), file=open("started", "a"), flush=True)
if kind == "udp":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    while True:
        data, peer = server.recvfrom(65536)
        server.sendto(b"%d %s" % (os.getpid(), data), peer)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(2048)
def serve(connection):
    connection.sendall(b"%d " % os.getpid())
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def server_command(port, kind="tcp"):
    with open("server.py", "w") as file:
        file.write(SERVER)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("started")
    return f"exec {sys.executable} -BSE server.py {kind} {port}"


def starts():
    """The process ids of the servers that were started."""
    try:
        with open("started") as file:
            return [int(pid) for pid in re.findall(r"started (\d+)", file.read())]
    except FileNotFoundError:
        return []


def is_gone(pid):
    """It has ended; whoever is to reap it here may take his time."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wake(*words, **settings):
    return Service("wake", *words, **settings)


def wake_process(*options, kind="tcp", command=None, **settings):
    """[nsrun, the port to connect to]"""
    port, inner = free_port(), free_port()
    command = command or server_command(inner, kind)
    running = wake("--listen", f"{kind}://{HERE}:{port}={kind}://{HERE}:{inner}", "--exec", command, "--name",
                   "web", *options, **settings)
    return running, port


def ask(port, text=b"hello"):
    """What a server of ours answers, without its process id; the whole stream."""
    with socket.create_connection((HERE, port), 30) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer.partition(b" ")[2]


def read_all(port):
    with socket.create_connection((HERE, port), 30) as client:
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


@test("a process is started by who connects, and what they said early arrives; idle, it is stopped")
def _():
    running, port = wake_process("--idle", "1")
    with running:
        log = Log(running)
        expect_equal(starts(), [])
        expect_equal(ask(port, b"early words"), b"early words")
        pid = starts()[0]
        log.until("Stopping => Idle")
        until(lambda: is_gone(pid), what="its end")
        expect_equal(ask(port), b"hello")
        expect_equal(len(starts()), 2)
    for change in ("Idle => Starting", "Starting => Running", "Running => Stopping", "Stopping => Idle"):
        expect(f"nsrun: web: State change ({change})\n" in log.text, change, log.text)


@test("it is stopped within a second of its time, counted from the last byte")
def _():
    running, port = wake_process("--idle", "2")
    with running:
        log = Log(running)
        with socket.create_connection((HERE, port), 30) as client:
            for _ in range(3):
                client.sendall(b"x")
                client.recv(100)
                time.sleep(0.7)  # traffic, spread over more than the idle time
            client.sendall(b"last")
            client.recv(100)
            last = time.monotonic()
            log.until("Running => Stopping")
            after = time.monotonic() - last
        expect(1.9 <= after <= 3.1, after)
    return f"after {after:.2f} s"


@test("an open connection keeps it running where connections count; where traffic does, it does not")
def _():
    for by, stays in (("connections", True), ("traffic", False)):
        running, port = wake_process("--idle", "1", "--idle-by", by)
        with running:
            log = Log(running)
            with socket.create_connection((HERE, port), 30) as client:
                client.recv(100)
                time.sleep(2.5)  # nothing moves for longer than the idle time
                expect_equal("Running => Stopping" not in log.read(), stays, by)
            log.until("Running => Stopping")


@test("less traffic than the threshold is no use")
def _():
    running, port = wake_process("--idle", "2", "--threshold", "100kB")
    with running:
        log = Log(running)
        with socket.create_connection((HERE, port), 30) as client:
            began = time.monotonic()
            while "Running => Stopping" not in log.read() and time.monotonic() - began < 10:
                with contextlib.suppress(OSError):
                    client.sendall(b"x")
                time.sleep(0.1)
        expect(time.monotonic() - began < 5, time.monotonic() - began)


@test("with a threshold a client that connects and asks for little, again and again, keeps nothing awake")
def _():
    running, port = wake_process("--idle", "2", "--threshold", "100packets")
    with running:
        log = Log(running)
        began = time.monotonic()
        while "Running => Stopping" not in log.read() and time.monotonic() - began < 15:
            expect_equal(ask(port), b"hello")
            time.sleep(0.3)
        expect("Running => Stopping" in log.text, log.text)


@test("with a wake threshold one that only connects wakes nothing, and one that sends enough does")
def _():
    running, port = wake_process("--wake-threshold", "10packets")
    with running:
        with socket.create_connection((HERE, port), 30) as prober:
            expect_equal(prober.send(b"x"), 1)
            time.sleep(0.6)  # long enough for a start
            expect_equal(starts(), [])
            early = b"y" * 20_000
            expect_equal(ask(port, early), early)
        expect_equal(len(starts()), 1)
        expect("Idle => Starting" in Log(running).read(), "the log")


@test("datagrams of one client are counted for the wake threshold, and all arrive")
def _():
    running, port = wake_process("--wake-threshold", "5packets", kind="udp")
    with running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((HERE, port))
        client.settimeout(30)
        for number in range(4):
            client.send(b"%d" % number)
        time.sleep(0.6)  # long enough for a start
        expect_equal(starts(), [])
        client.send(b"4")
        expect_equal([client.recv(100).partition(b" ")[2] for _ in range(5)], [b"0", b"1", b"2", b"3", b"4"])


@test("RUST_LOG selects lines: none of warn's are changes of state, debug has more; --version is nsrun's")
def _():
    seen = {}
    for level in ("warn", "info", "proxytainer=debug"):
        running, port = wake_process("--idle", "1", env={**os.environ, "RUST_LOG": level})
        with running:
            expect_equal(ask(port), b"hello")
            pid = starts()[0]
            until(lambda: is_gone(pid), what="its end")
            running.signal(signal.SIGTERM)
            running.status()
            seen[level] = Log(running).read()
    expect("State change" not in seen["warn"] and "State change" in seen["info"], seen)
    expect("starting it" not in seen["info"] and "starting it" in seen["proxytainer=debug"], seen)
    for words in (["wake", "-V"], ["wake", "--version"], ["forward", "-V"], ["-V"]):
        done = sandbox.nsrun(*words)
        expect(done.returncode == 0 and done.stdout.startswith("nsrun "), words)


@test("SIGTERM that is not heard is followed by SIGKILL, for all of its group; there are no zombies")
def _():
    inner = free_port()
    command = f"trap '' TERM; sleep 1000 & echo $! > sleeper; {server_command(inner)[5:]}"
    port = free_port()
    with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--exec", command, "--name", "web", "--idle",
              "1", "--stop-timeout", "300ms") as running:
        log = Log(running)
        ask(port)
        with open("sleeper") as file:
            sleeper = int(file.read())
        log.until("Stopping => Idle")
        until(lambda: is_gone(starts()[0]), what="its own end")
        until(lambda: is_gone(sleeper), what="the end of what it started")
        with open(f"/proc/{running.pid}/task/{running.pid}/children") as children:
            expect_equal(children.read(), "", "children")


@test("what ends by itself is started again for who connects next")
def _():
    running, port = wake_process()
    with running:
        log = Log(running)
        ask(port)
        os.kill(starts()[0], signal.SIGKILL)
        log.until("Running => Idle")
        expect("ended by itself, with signal 9" in log.text, log.text)
        expect_equal(ask(port), b"hello")
        expect_equal(len(starts()), 2)


@test("who waits for what never comes is turned away in time; the trouble is said once")
def _():
    port, inner = free_port(), free_port()
    with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--exec", "exec sleep 1000", "--name", "web",
              "--start-timeout", "500ms") as running:
        log = Log(running)
        began = time.monotonic()
        expect(broken_off(port))
        took = time.monotonic() - began
        expect(0.4 < took < 3, took)
        expect(broken_off(port))
        expect_equal(log.read().count("not ready within 500 ms"), 1, log.text)


@test("a program that is not there is told of, and who waits is turned away")
def _():
    running, port = wake_process("--start-timeout", "1", command="exec ./no-such-program")
    with running:
        log = Log(running)
        expect(broken_off(port))
        expect_equal(log.read().count("cannot run 'exec ./no-such-program'"), 1, log.text)


@test("readiness is what the probe says")
def _():
    running, port = wake_process("--probe", "test -e ready")
    with running:
        client = threading.Thread(target=ask, args=(port,))
        client.start()
        log = Log(running)
        log.until("Idle => Starting")
        until(lambda: starts(), what="the start")
        expect("Starting => Running" not in log.read(), log.text)
        open("ready", "w").close()
        log.until("Starting => Running")
        client.join(10)
    os.unlink("ready")


WEB_SERVER = """
import http.server, os, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        fine = self.path != "/health?deep=1" or os.path.exists("healthy")
        self.send_response(204 if fine else 503)
        self.end_headers()
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@test("a probe of http is ready when the answer is 2xx or 3xx, at the target itself or elsewhere")
def _():
    with open("web.py", "w") as file:
        file.write(WEB_SERVER)
    for own_place in (True, False):
        port, inner = free_port(), free_port()
        probe = f"http://{'' if own_place else f'{HERE}:{inner}'}/health?deep=1"
        with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--probe", probe, "--exec",
                  f"exec {sys.executable} -BSE web.py {inner} 2>/dev/null") as running:
            got = []
            client = threading.Thread(target=lambda: got.append(http_status(port)))
            client.start()
            until(lambda: answers_at(inner), what="the start")
            time.sleep(0.3)  # long enough for it to be let through, were it
            expect_equal(got, [])
            open("healthy", "w").close()
            client.join(10)
            expect_equal(got, [204])
            expect("Starting => Running" in Log(running).read())
        os.unlink("healthy")


def answered(client, text):
    client.send(text)
    with contextlib.suppress(OSError):
        return client.recv(100).partition(b" ")[2] == text
    return False


def http_status(port):
    connection = http.client.HTTPConnection(HERE, port, timeout=30)
    connection.request("GET", "/")
    return connection.getresponse().status


def answers_at(port):
    with contextlib.suppress(OSError), socket.create_connection((HERE, port), 5):
        return True
    return False


@test("a thousand at once on an idle group: one start, none lost")
def _():
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    running, port = wake_process()
    with running:
        clients = []
        for number in range(1000):
            client = socket.create_connection((HERE, port), 60)
            client.sendall(b"%d;" % number)
            clients.append(client)
        for number, client in enumerate(clients):
            answer = b""
            while not answer.endswith(b";"):
                data = client.recv(100)
                expect(data, "client", number, "was cut off")
                answer += data
            expect_equal(answer.partition(b" ")[2], b"%d;" % number)
            client.close()
        expect_equal(len(starts()), 1)


@test("a client that leaves while held is noticed, and does not hold the start up")
def _():
    port, inner = free_port(), free_port()
    with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--exec", server_command(inner), "--probe",
              "test -e ready2", "--log", "flows.log") as running:
        log = Log(running)
        socket.create_connection((HERE, port), 10).close()
        until(lambda: os.path.exists("flows.log") and "has left" in open("flows.log").read(), what="its end in the log")
        open("ready2", "w").close()
        log.until("Starting => Running")
    os.unlink("ready2")


@test("one who speaks TLS and leaves while held is noticed too, and what one who stays has said arrives")
def _():
    certificate()
    port, inner = free_port(), free_port()
    place = f"tls://{HERE}:{port}?cert={os.getcwd()}/server.pem&key={os.getcwd()}/server.key"
    with wake("--listen", f"{place}=tcp://{HERE}:{inner}", "--exec", server_command(inner), "--probe", "test -e ready3",
              "--log", "tls.log") as running:
        gone, stays = speak_tls(port), speak_tls(port)
        stays.sendall(b"early")
        leave_tls(gone)
        until(lambda: os.path.exists("tls.log") and "has left" in open("tls.log").read(), what="its end in the log")
        open("ready3", "w").close()
        answer = b""
        while not answer.endswith(b"early"):
            data = stays.recv(100)
            expect(data, "cut off", answer)
            answer += data
        Log(running).until("Starting => Running")
        stays.close()
    os.unlink("ready3")


def speak_tls(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((HERE, port), 10))


def leave_tls(connection):
    """As most programs do: the goodbye is said, and not waited for."""
    connection.settimeout(0)
    with contextlib.suppress(OSError):
        connection.unwrap()
    connection.close()


@test("datagrams are held too, and arrive in order")
def _():
    running, port = wake_process(kind="udp")
    with running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect((HERE, port))
        for number in range(20):
            client.send(b"%d" % number)
        answers = [client.recv(100).partition(b" ")[2] for _ in range(20)]
        expect_equal(answers, [b"%d" % number for number in range(20)])
        expect_equal(len(starts()), 1)


@test("after it slept, the next datagram of the same sender wakes it again")
def _():
    running, port = wake_process("--idle", "1", kind="udp")
    with running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        log = Log(running)
        client.settimeout(20)
        client.connect((HERE, port))
        client.send(b"one")
        client.recv(100)
        log.until("Stopping => Idle")
        client.send(b"two")
        expect_equal(client.recv(100).partition(b" ")[2], b"two")
        expect_equal(len(starts()), 2)


@test("the process ends with nsrun, which ends 0")
def _():
    running, port = wake_process()
    with running:
        ask(port)
        pid = starts()[0]
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 0)
        until(lambda: is_gone(pid), what="its end")
        expect("cannot" not in running.warnings())


@test("processes that do not heed SIGTERM are waited for all at once, and a second signal is the end of waiting")
def _():
    for signals, at_least, at_most in ((1, 1, 1.9), (2, 0, 0.9)):
        words, ports = [], []
        with open("stubborn.yaml", "w") as file:
            file.write("groups:\n")
            for number in range(2):
                port, inner = free_port(), free_port()
                ports.append(port)
                command = f"trap '' TERM; {server_command(inner).removeprefix('exec ')}"
                file.write(f"- name: stubborn{number}\n  listen: tcp://{HERE}:{port}=tcp://{HERE}:{inner}\n"
                           f"  exec: {json.dumps(command)}\n  stop-timeout: 1\n")
        with wake("--config", "stubborn.yaml") as running:
            for port in ports:
                ask(port)
            pids = starts()
            began = time.monotonic()
            for _ in range(signals):
                running.signal(signal.SIGTERM)
                time.sleep(0.1)
            expect_equal(running.status(), 0)
            took = time.monotonic() - began
            expect(at_least <= took < at_most, signals, took)
            until(lambda: all(is_gone(pid) for pid in pids), what="their end")


@test("a first request costs the start-up and at most 20 ms; through what runs, at most 50 us")
def _():
    inner = free_port()
    command = server_command(inner).removeprefix("exec ").split()
    import subprocess

    def direct_start():
        began = time.monotonic()
        process = subprocess.Popen(command)
        while True:
            with contextlib.suppress(OSError):
                with socket.create_connection((HERE, inner), 10) as client:
                    client.recv(100)
                    break
        took = time.monotonic() - began
        process.kill()
        process.wait()
        return took

    def woken_start():
        port = free_port()
        with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--exec", "exec " + " ".join(command)):
            began = time.monotonic()
            with socket.create_connection((HERE, port), 10) as client:
                client.recv(100)
            return time.monotonic() - began

    def round_trips(port):
        """Seconds for a connection and an answer, the median."""
        times = []
        for _ in range(300):
            began = time.perf_counter()
            with socket.create_connection((HERE, port), 10) as client:
                client.recv(100)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    direct = statistics.median(direct_start() for _ in range(5))
    woken = statistics.median(woken_start() for _ in range(5))
    port, forwarded = free_port(), free_port()
    with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--exec", "exec " + " ".join(command)), \
            Service("forward", f"tcp://{HERE}:{forwarded}=tcp://{HERE}:{inner}"):
        ask(port)
        plain, through, by_forward = round_trips(inner), round_trips(port), round_trips(forwarded)
    seen = (f"start-up {direct * 1e3:.1f} ms, by waking {woken * 1e3:.1f} ms; a connection {plain * 1e6:.0f} us, "
            f"through nsrun wake {through * 1e6:.0f} us, nsrun forward {by_forward * 1e6:.0f} us")
    # Other programs of the machine are at work meanwhile: that it is of the right order is what is held here.
    expect(woken - direct < 0.1, seen)
    expect(through - by_forward < 0.001, seen)
    return seen


SYSTEMCTL = """#!/bin/sh
echo "$*" >> systemctl.log
case "$*" in
*show*) test -e no-unit && { echo LoadState=not-found; echo ActiveState=inactive; exit; }
  echo LoadState=loaded
  if test -e unit.pid; then echo ActiveState=active; else echo ActiveState=inactive; fi ;;
*start*) COMMAND </dev/null >/dev/null 2>&1 & echo $! > unit.pid ;;
*stop*) kill $(cat unit.pid); rm unit.pid ;;
esac
"""


@test("a whole sandbox sleeps until somebody knocks, streams and datagrams, and leaves nothing behind")
def _():
    port, other = free_port(), free_port()
    os.makedirs("runtime", exist_ok=True)
    environment = {**os.environ, "XDG_RUNTIME_DIR": f"{os.getcwd()}/runtime"}
    inside = f"{server_command(80).removeprefix('exec ')} & exec {server_command(80, 'udp').removeprefix('exec ')}"
    with wake("--listen", f"tcp://{HERE}:{port}=guest+tcp://{HERE}:80", "--listen",
              f"udp://{HERE}:{other}=guest+udp://{HERE}:80", "--idle", "1", "--name", "box", "--sandbox", "--map-root",
              "--", "sh", "-c", inside, env=environment) as running:
        log = Log(running)
        for turn in (1, 2):
            expect_equal(ask(port, b"into the sandbox"), b"into the sandbox")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(0.2)
                client.connect((HERE, other))
                # It is ready when its streams are; its datagrams may be a moment later.
                until(lambda: answered(client, b"and this"), 20, "an answer")
            until(lambda: log.read().count("Stopping => Idle") == turn, 20, "its sleep")
        changes = ["Idle => Starting", "Starting => Running", "Running => Stopping", "Stopping => Idle"] * 2
        expect_equal(re.findall(r"box: State change \((.*)\)", log.text), changes)
        expect_equal(log.text.count("nsrun: "), 8, log.text)  # and nothing else is said
        with open(f"/proc/{running.pid}/task/{running.pid}/children") as children:
            expect_equal(children.read(), "", "children")
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 0)
    expect_equal(os.listdir("runtime"), [])


@test("a password among the words of a sandbox that sleeps cannot be seen")
def _():
    port = free_port()
    url = "socks5://user:hidden-word@127.0.0.1:1"
    with wake("--listen", f"tcp://{HERE}:{port}=guest+tcp://{HERE}:80", "--sandbox", "--dial", url, f"--via={url}@a.test",
              "--", "true") as running:
        with open(f"/proc/{running.pid}/cmdline") as words:
            seen = words.read()
    expect("socks5://" in seen and "hidden-word" not in seen, seen)


@test("a unit of systemd is started and stopped")
def _():
    port, inner = free_port(), free_port()
    os.makedirs("bin", exist_ok=True)
    with open("bin/systemctl", "w") as file:
        file.write(SYSTEMCTL.replace("COMMAND", server_command(inner)))
    os.chmod("bin/systemctl", 0o755)
    environment = {**os.environ, "PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}"}
    with wake("--listen", f"tcp://{HERE}:{port}=tcp://{HERE}:{inner}", "--systemd", "web.service", "--user", "--idle",
              "1", env=environment) as running:
        log = Log(running)
        expect_equal(ask(port), b"hello")
        log.until("Stopping => Idle")
        open("no-unit", "w").close()
        until(lambda: is_gone(starts()[0]), what="its end")
        with open("systemctl.log") as said:
            lines = said.read()
        expect("--user --no-ask-password start -- web.service\n" in lines, lines)
        expect("--user --no-ask-password stop -- web.service\n" in lines, lines)
    os.unlink("no-unit")


def wake_group(*options, group="mygroup", port=None, inner=None):
    """As proxytainer is called: [nsrun, the port to connect to, that of the container]"""
    port, inner = port or free_port(), inner or free_port()
    running = wake("--port", str(port), "--host", f"localhost:{inner}", "--group", group, "--docker",
                   f"unix://{os.getcwd()}/{API}", *options)
    return running, port, inner


@contextlib.contextmanager
def docker(count=1, key="proxytainer.group", **settings):
    """[the API, the port its first container serves]"""
    inner = free_port()
    begin, end = listener(inner)
    with DockerApi(API) as api:
        for number in range(count):
            hooks = (begin, end) if number == 0 else (None, None)
            api.containers[f"c{number}"] = Container({key: "mygroup"}, *hooks, **settings)
        yield api, inner


@test("containers: proxytainer's command line starts all of a group, and stops them when idle")
def _():
    for key in ("proxytainer.group", "lazytainer.group", "nsrun.group"):
        with docker(2, key) as (api, inner):
            api.containers["other"] = Container({key: "another"})
            running, port, _ = wake_group("--idle", "1", inner=inner)
            with running:
                log = Log(running)
                expect_equal(read_all(port), b"awake")
                expect_equal([each.state for each in api.containers.values()], ["running", "running", "exited"])
                log.until("Stopping => Idle")
                expect_equal({each.state for each in api.containers.values()}, {"exited"})
                expect("mygroup: State change (Idle => Starting)" in log.text, log.text)


@test("containers: of two groups given all are started and stopped together")
def _():
    with docker() as (api, inner):
        api.containers["other"] = Container({"proxytainer.group": "another"})
        running, port, _ = wake_group("--group", "another", "--idle", "1", inner=inner)
        with running:
            expect_equal(read_all(port), b"awake")
            expect_equal({each.state for each in api.containers.values()}, {"running"})
            Log(running).until("Stopping => Idle")
            expect_equal({each.state for each in api.containers.values()}, {"exited"})


@test("containers: Lazytainer's labels describe the groups, and a port that two have wakes both")
def _():
    shared, other = free_port(), free_port()
    # nsrun's container: its ports lead to where nobody listens.
    own = {"lazytainer.group.one.ports": f"{shared}", "lazytainer.group.two.ports": f"{shared},{other}",
           "lazytainer.group.one.minPacketThreshold": "3", "lazytainer.group.two.minPacketThreshold": "3",
           "lazytainer.group.one.inactiveTimeout": "1", "lazytainer.group.two.inactiveTimeout": "1",
           "lazytainer.group.two.sleepMethod": "pause",
           "nsrun.group.one.host": "192.0.2.200", "nsrun.group.two.host": "192.0.2.200"}
    with DockerApi(API) as api:
        api.containers["self"] = Container(own, name="lazytainer")
        one = api.containers["a"] = Container({"lazytainer.group": "one"})
        two = api.containers["b"] = Container({"lazytainer.group": "two"})
        with wake("--from-labels=self", "--docker", f"unix://{os.path.abspath(API)}") as running:
            log = Log(running)
            with socket.create_connection((HERE, other), 30):
                until(lambda: two.state == "running", what="the second group's start")
            expect_equal(one.state, "exited")
            until(lambda: two.state == "paused", what="its sleep")
            with socket.create_connection((HERE, shared), 30):
                until(lambda: one.state == two.state == "running", what="the start of both")
            until(lambda: (one.state, two.state) == ("exited", "paused"), what="the sleep of both")
            expect("one: State change (Idle => Starting)" in log.read(), log.text)
    with DockerApi(API) as api:
        api.containers["self"] = Container({"lazytainer.group.one.ports": "no"}, name="lazytainer")
        status, line = failing("wake", "--from-labels=self", "--docker", f"unix://{os.path.abspath(API)}")
        expect(status == 2 and "lazytainer.group.one.ports=no" in line, line)


@test("containers: a daemon's claim of a long answer ends nothing")
def _():
    with docker() as (api, inner):
        api.faults = {"GET events": "claim"}
        running, port, _ = wake_group(inner=inner)
        with running:
            until(lambda: api.count("GET", "/events"), what="following the events")
            expect_equal(read_all(port), b"awake")


@test("containers: who has a health check is waited for, but with --no-health")
def _():
    for options, waits in (((), True), (("--no-health",), False)):
        with docker(health="starting") as (api, inner):
            running, port, _ = wake_group(*options, inner=inner)
            with running:
                got = []
                client = threading.Thread(target=lambda: got.append(read_all(port)))
                client.start()
                log = Log(running)
                if waits:
                    until(lambda: api.containers["c0"].state == "running", what="the start")
                    time.sleep(0.3)  # long enough for it to be let through, were it
                    expect_equal(got, [])
                    api.containers["c0"].health = "healthy"
                    api.tell(api.containers["c0"], "health_status: healthy")
                client.join(10)
                expect_equal(got, [b"awake"], options)
                log.until("Starting => Running")


def proxy(port, seconds):
    """As Docker's own: the port is taken at once, and closed for whom nobody listens inside. begin()"""
    def begin():
        server, up = socket.create_server((HERE, port)), time.monotonic() + seconds
        threading.Thread(target=serve, args=(server, up), daemon=True).start()

    def serve(server, up):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                if time.monotonic() > up:
                    connection.sendall(b"awake")

    return begin


@test("containers: a port that is taken and closed while nobody listens inside is not ready")
def _():
    inner = free_port()
    with DockerApi(API) as api:
        api.containers["c0"] = Container({"proxytainer.group": "mygroup"}, proxy(inner, 1))
        running, port, _ = wake_group(inner=inner)
        with running:
            expect_equal(read_all(port), b"awake")


@test("containers: who comes while it is started anew by others is held")
def _():
    inner = free_port()
    begin, end = listener(inner)
    with DockerApi(API) as api:
        container = api.containers["c0"] = Container({"proxytainer.group": "mygroup"}, begin, end)
        running, port, _ = wake_group("--start-timeout", "2", inner=inner)
        with running:
            log = Log(running)
            expect_equal(read_all(port), b"awake")
            time.sleep(2.1)  # a start would be waited for as long
            end()
            api.tell(container, "restart")
            log.until("Running => Starting")
            threading.Timer(0.5, begin).start()
            expect_equal(read_all(port), b"awake")


@test("containers: SIGTERM ends it with 0, and there is no trouble to tell of")
def _():
    with docker() as (api, inner):
        running, port, _ = wake_group(inner=inner)
        with running:
            until(lambda: api.count("GET", "/events"), what="following the events")
            read_all(port)
            running.signal(signal.SIGTERM)
            expect_equal(running.status(), 0)
            said = Log(running).read()
            expect("cannot" not in said and "Operation canceled" not in said, said)


@test("containers: pause in place of stop, and unpause")
def _():
    with docker() as (api, inner):
        running, port, _ = wake_group("--idle", "1", "--sleep", "pause", inner=inner)
        with running:
            log = Log(running)
            read_all(port)
            log.until("Stopping => Idle")
            expect_equal(api.containers["c0"].state, "paused")
            expect_equal(read_all(port), b"awake")
            expect_equal(api.count("POST", "/unpause"), 1)


@test("containers: stopped by others, removed and made anew: it is seen by the event, and found again")
def _():
    with docker() as (api, inner):
        running, port, _ = wake_group(inner=inner)
        with running:
            log = Log(running)
            read_all(port)
            old = api.containers.pop("c0")
            api.tell(old, "destroy")
            log.until("Running => Idle", 3)
            old.state = "exited"
            old.on_stop()
            api.containers["anew"] = Container(old.labels, old.on_start, old.on_stop)
            expect_equal(read_all(port), b"awake")
            expect("POST /containers/anew/start" in api.asked, api.asked)


@test("containers: without events it is asked for; each trouble is said once, and none ends nsrun")
def _():
    with docker() as (api, inner):
        api.has_events = False
        running, port, _ = wake_group("--start-timeout", "3", inner=inner)
        with running:
            log = Log(running)
            for fault in (404, 409, 500, "cut", "garbage"):
                api.faults = {"POST start": fault} if isinstance(fault, int) else {"GET list": fault}
                expect(broken_off(port), fault)
            api.faults = {}
            expect_equal(read_all(port), b"awake")
            old = api.containers["c0"]
            old.state = "exited"
            old.on_stop()
            log.until("Running => Idle", 5)
        for fault in (404, 409, 500):
            expect_equal(log.text.count(f"the API answers {fault}"), 1, log.text)
        expect_equal(log.text.count("Idle => Starting"), 1, log.text)  # a start that is tried again is not said again


@test("containers: started already is a success, and a daemon that was away is found again")
def _():
    with docker() as (api, inner):
        api.faults = {"POST start": 304}
        running, port, _ = wake_group(inner=inner)
        with running:
            log = Log(running)
            client = threading.Thread(target=read_all, args=(port,))
            client.start()
            log.until("Idle => Starting")
            api.faults = {}
            client.join(20)
            expect(not client.is_alive(), log.read())
            api.__exit__()
            log.until("cannot", 10)
            api.__enter__()
            old = api.containers["c0"]
            old.state = "exited"
            old.on_stop()
            log.until("Running => Idle", 20)
            expect_equal(read_all(port), b"awake")


@test("many groups of one file, and what is wrong with a file")
def _():
    one, two, inner_one, inner_two = (free_port() for _ in range(4))
    command = server_command(inner_one)
    with open("wake.yaml", "w") as file:
        file.write(f"groups:\n- name: one\n  listen: tcp://{HERE}:{one}=tcp://{HERE}:{inner_one}\n  exec: {command}\n"
                   f"- name: two\n  listen:\n  - tcp://{HERE}:{two}=tcp://{HERE}:{inner_two}\n  idle: 1\n"
                   f"  exec: {command.replace(str(inner_one), str(inner_two))}\n")
    with wake("--config", "wake.yaml") as running:
        log = Log(running)
        expect_equal(ask(two), b"hello")
        log.until("two: State change (Stopping => Idle)")
        expect_equal(ask(one), b"hello")
        expect("one: State change (Idle => Starting)" in log.read(), log.text)
    with open("wrong.yaml", "w") as file:
        file.write("groups:\n- name: one\n  exce: true\n")
    status, said = failing("wake", "--config", "wrong.yaml")
    expect_equal(status, 2)
    expect("wrong.yaml:3:3: exce: there is no such key" in said, said)


@test("errors of usage end with 2 and say what is missing")
def _():
    for words, expected in (((), "there is nothing to start"),
                            (("--port", "5001", "--host", "localhost:1"), "there is nothing to start"),
                            (("--group", "g"), "there is nowhere to listen"),
                            (("--group", "g", "--port", "5001"), "--port needs --host"),
                            (("--exec", "true", "--group", "g"), "more than one thing"),
                            (("--group", "g", "--port", "abc", "--host", "h:1"), "--port 'abc' is not a valid port"),
                            (("--group", "g", "--port", "1", "--host", "h"), "--host 'h' is not a valid HOST:PORT"),
                            (("--exec", "true", "--listen", "tcp://:1=tcp://h:1", "--user"), "--user without --systemd"),
                            (("--exec", "true", "--listen", "tcp://:1=tcp://h:1", "--sleep", "pause"),
                             "--sleep without --group"),
                            (("--config", "x.yaml", "--idle", "5"), "--idle beside --config"),
                            (("--listen", "tcp://:1=guest+tcp://h:1", "--sandbox"), "has no command"),
                            (("--listen", "tcp://:1=tcp://h:1", "--sandbox", "--", "true"), "does not lead into"),
                            (("--listen", "tcp://:1=guest+tcp://127.0.0.1:1", "--exec", "true"), "there is no sandbox"),
                            (("--group", "g", "--port", "1", "--host", "h:1", "--idle", "soon"), "is not a valid duration"),
                            (("--group", "g", "--port", "1", "--host", "h:1", "--docker", "ssh://h"),
                             "the Docker API is not reached"),
                            (("--exec", "true", "--listen", "tcp://:1=udp://h:1"), "the other datagrams"),
                            (("--exec", "true", "--listen", "udp://:1=udp://h:1", "--probe", "http:///x"), "has no host"),
                            (("--exec", "true", "--listen", "tcp://:1=tcp://h:1", "--probe", "http://[x"), "is not a URL")):
        status, said = failing("wake", *words)
        expect_equal(status, 2, words)
        expect(expected in said, words, said)
