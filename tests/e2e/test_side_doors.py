"""Side doors: what a network namespace leaves open, and a deny default closes.

    outside                                               closed sandbox
    unix sockets, by path and abstract ──────── x ──────  the command, root inside or not
    shared memory, processes, the terminal ──── x ──────
    one socket ──────────── --allow-unix ───────────────► the command
"""
import contextlib
import ctypes
import json
import os
import pty
import re
import shlex
import shutil
import socket
import subprocess
import threading

from support import sandbox, unix_doors
from support.servers import Server
from support.theme import Skip, expect, expect_equal, need, test, until

CLOSED = ["--default", "deny"]
UNIX_DOORS = os.path.abspath(unix_doors.__file__)
DOORS = os.path.join(os.path.dirname(UNIX_DOORS), "doors.py")
UNREACHED = {"ECONNREFUSED", "ENOENT", "EACCES", "ENOTDIR", "ENXIO"}


def command(function, *arguments):
    program = UNIX_DOORS if hasattr(unix_doors, function) else DOORS
    return [*sandbox.PYTHON, program, function, json.dumps(arguments)]


def inside(function, *arguments, options=CLOSED, **settings):
    return json.loads(sandbox.run(*command(function, *arguments), options=options, **settings))


class Outside:
    """A server on a unix socket outside, that greets with a word."""

    def __init__(self, path, kind=socket.SOCK_STREAM, greet=lambda connection: connection.send(b"outside")):
        self.path = os.path.abspath(path) if not path.startswith("@") else path
        self._greet = greet
        self._socket = socket.socket(socket.AF_UNIX, kind)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else self.path)
        if kind != socket.SOCK_DGRAM:
            self._socket.listen()
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._greet(connection)

    def received(self):
        self._socket.setblocking(False)
        try:
            return self._socket.recv(100)
        except BlockingIOError:
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if not self.path.startswith("@"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


@contextlib.contextmanager
def session():
    """A runtime directory as a session has it, with a bus: its path, and the environment that names it"""
    runtime = os.path.abspath("runtime")
    os.makedirs(runtime, 0o700, exist_ok=True)
    with Outside(runtime + "/bus"):
        yield runtime, {**os.environ, "XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}


@test("unix sockets of outside are reached without a deny default, and not with one")
def _():
    with Outside("a.sock") as one, Outside("@nsrun-e2e-doors") as abstract:
        expect_equal(inside("greetings", [one.path, abstract.path], options=[]), ["outside", "ECONNREFUSED"])
        for options in (CLOSED, ["--allow", "192.0.2.1"], [*CLOSED, "--map-root"]):
            expect_equal(inside("greetings", [one.path, "a.sock", abstract.path], options=options),
                         ["ECONNREFUSED"] * 3, options)


@test("sockets for packets, and those that a link or another name leads to, are closed too")
def _():
    with Outside("packets.sock", socket.SOCK_SEQPACKET) as packets, Outside("linked.sock") as linked:
        os.symlink(linked.path, "link")
        os.symlink(os.getcwd(), "here")
        expect_equal(inside("greeting", packets.path, socket.SOCK_SEQPACKET), "ECONNREFUSED")
        seen = inside("greetings", ["link", "here/linked.sock", "/proc/self/cwd/linked.sock", "./here/here/link"])
        expect_equal(seen, ["ECONNREFUSED"] * 4)
        os.unlink("link")
        os.unlink("here")


@test("the session's runtime directory is empty inside, and sockets made there inside work")
def _():
    with session() as (runtime, environment):
        expect_equal(sandbox.run("ls", "-A", runtime, options=CLOSED, env=environment), "")
        expect_equal(inside("greeting", runtime + "/bus", env=environment), "ENOENT")
        script = f"cd {runtime} && " + " ".join(map(repr, command("server_inside"))) + " && ls -A"
        expect_equal(sandbox.run("sh", "-c", script, options=CLOSED, env=environment), "true\n")
        expect_equal(os.listdir(runtime), ["bus"])


@test("the working directory and the home directory stay what they are, wherever sockets are")
def _():
    with session() as (runtime, environment):
        expect_equal(sandbox.run("ls", "-A", options=CLOSED, env=environment, cwd=runtime), "bus\n")
        expect_equal(inside("greeting", "bus", env=environment, cwd=runtime), "ECONNREFUSED")


@test("a unix socket that is bound outside after the start is not reached, by any name")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"], [*CLOSED, "--accelerate"]):
        with sandbox.start(*command("greetings_later"), options=options) as running:
            running.wait_for("ready\n")
            with Outside("late.sock") as late:
                os.link(late.path, "other-name")
                os.symlink(late.path, "link")
                here = os.getcwd()
                running.say(json.dumps([late.path, "late.sock", "./late.sock", "other-name", "link",
                                        "/proc/self/cwd/late.sock", f"/proc/self/root{here}/late.sock"]))
                seen = json.loads(running.wait_for(r"\[.*\]\n")[0])
                os.unlink("other-name")
                os.unlink("link")
            expect_equal(set(seen), {"ECONNREFUSED"}, options)


@test("an inherited directory of outside leads to no unix socket, an inherited socket to no abstract name")
def _():
    with session() as (runtime, environment), Outside("@nsrun-e2e-inherited") as abstract:
        directory, inherited = os.open(runtime, os.O_RDONLY), socket.socket(socket.AF_UNIX)
        seen = inside("inherited_ways", directory, "bus", inherited.fileno(), abstract.path, env=environment,
                      pass_fds=[directory, inherited.fileno()])
        os.close(directory)
        inherited.close()
        expect(set(seen) <= {"EACCES", "ECONNREFUSED"}, seen)


@test("sockets bound inside are reached by every name, from a chroot and from further namespaces")
def _():
    me = f"{os.getuid()} {os.getgid()}"
    seen = inside("named_inside", False)
    shutil.rmtree("inside")
    expect_equal(seen, {"names": [f"inside {me}"], "unshared": f"inside {me}", "network": f"inside {me}"})
    seen = inside("named_inside", "root", options=[*CLOSED, "--map-root", "--accelerate"])
    expect_equal(set(map(str, seen.values())), {"['inside 0 0']", "inside 0 0"}, seen)
    shutil.rmtree("inside")


@test("a server inside is told the ids of whoever asks, where there are several")
def _():
    done = sandbox.nsrun("--map-auto", "--", "true")
    if done.returncode != 0:
        raise Skip(done.stderr.strip())
    seen = inside("named_inside", "auto", options=[*CLOSED, "--map-root", "--map-auto"])
    shutil.rmtree("inside")
    expect_equal((seen["other"], seen["chroot"]), ("inside 5 6", "inside 0 0"))


@test("a unix socket whose queue is full says so, or waits for room")
def _():
    expect_equal(inside("waiting_for_room"), ["EAGAIN", "inside"])


@test("other sockets connect as ever, and no netlink socket to another's")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"], [*CLOSED, "--accelerate"]):
        expect_equal(inside("other_sockets", "192.0.2.1", options=options),
                     {"udp": None, "disconnect": None, "kernel": None, "other": "EPERM", "nothing": "ENOTSOCK",
                      "bad address": "EFAULT"}, options)


@test("a thread that changes address, descriptor or file under a connect never gets outside")
def _():
    notes = []
    for options in (CLOSED, [*CLOSED, "--map-root", "--accelerate"]):
        with sandbox.start_shell(options=options) as shell, Outside("racing.sock", greet=lambda _: met.append(1)) as racing:
            met = []
            for function, arguments in (("swapped_address", [os.path.abspath("raced.sock"), racing.path, 2]),
                                        ("swapped_descriptor", [racing.path, 2]), ("swapped_file", [racing.path, 2])):
                said = shell.ask(" ".join(map(shlex.quote, command(function, *arguments))))
                expect_equal(met, [], function)
                notes.append(f"{function}: {said}")
                for left in ("raced.sock", "flips"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(left)
    return ", ".join(notes)


@test("a guest that kills what carries out its connects has connects that fail, and none that never end")
def _():
    count, seen = inside("killing_the_doorkeeper", 2)
    expect(set(seen) <= {"inside", "ECONNABORTED", "ECONNRESET"}, seen)
    return f"{count} connects: {', '.join(seen)}"


@test("a closed sandbox in a closed sandbox does not start unless unix sockets are to stay open")
def _():
    done = sandbox.nsrun(*CLOSED, "--", sandbox.NSRUN, *CLOSED, "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (125, ""))
    expect("another sandbox that traps calls is around this one" in done.stderr, done.stderr)
    done = sandbox.nsrun(*CLOSED, "--", sandbox.NSRUN, *CLOSED, "--allow-unix", "*", "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (0, "ran\n"), done.stderr)


@test("--allow-unix leaves one socket reachable, also in a directory that is empty otherwise")
def _():
    with session() as (runtime, environment), Outside(runtime + "/wanted") as wanted, Outside("b.sock") as other:
        options = [*CLOSED, "--allow-unix", wanted.path]
        seen = inside("greetings", [wanted.path, runtime + "/bus", other.path], options=options, env=environment)
        expect_equal(seen, ["outside", "ENOENT", "ECONNREFUSED"])
        options += ["--allow-unix", "b.sock"]
        seen = inside("greetings", [wanted.path, runtime + "/bus", other.path], options=options, env=environment)
        expect_equal(seen, ["outside", "ENOENT", "outside"])
        seen = inside("greetings", [runtime + "/bus", other.path], options=[*CLOSED, "--allow-unix", "*"],
                      env=environment)
        expect_equal(seen, ["outside", "outside"])


@test("what an allowed server hands over is the command's")
def _():
    with open("note", "w+") as note:
        note.write("for you")
        note.flush()

        def hand_over(connection):
            note.seek(0)
            socket.send_fds(connection, [b"x"], [note.fileno()])

        with Outside("giving.sock", greet=hand_over) as server:
            options = [*CLOSED, "--allow-unix", server.path]
            expect_equal(inside("taken_descriptor", server.path, options=options), "for you")
    os.unlink("note")


@test("--allow-unix of what is no socket, or where nothing is closed, starts nothing")
def _():
    for path in ("nowhere.sock", "/dev/null"):
        done = sandbox.nsrun(*CLOSED, "--allow-unix", path, "--", "echo", "ran")
        expect_equal((done.returncode, done.stdout), (2, ""), path)
        expect("is no unix socket" in done.stderr, done.stderr)
    done = sandbox.nsrun("--allow-unix", "/dev/null", "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (2, ""))


@test("unix datagram sockets cannot be made, in any way, and nothing arrives outside")
def _():
    with Outside("log.sock", socket.SOCK_DGRAM) as log:
        seen = inside("datagrams", log.path)
        expect_equal(seen, {"alone": "EACCES", "raw": "EACCES", "flags": "EACCES", "pair": "EACCES",
                            "raw pair": "EACCES", "stream pair": None})
        expect_equal(log.received(), None)
        seen = inside("datagrams", log.path, options=[])
        expect_equal((seen["pair"], log.received()), (None, b"out"), "in an open sandbox")


@test("unix sockets among the sandbox's own work as ever")
def _():
    expect_equal(inside("server_inside"), True)
    expect_equal(inside("server_inside", options=[*CLOSED, "--map-root"]), True)


@test("only families that a network namespace divides can be made, whatever the register's upper half says")
def _():
    made, refusals, high = inside("families")
    expect(set(made) <= {1, 2, 10, 16, 17} and {1, 2, 10, 16} <= set(made), made)
    expect("EAFNOSUPPORT" in refusals and high == "EAFNOSUPPORT", refusals, high)
    made, _, high = inside("families", options=[*CLOSED, "--map-root"])
    expect_equal((made, high), ([1, 2, 10, 16, 17], "EAFNOSUPPORT"))


@test("the kernel's other ABIs are no way around")
def _():
    if os.uname().machine != "x86_64":
        raise Skip("this machine's kernel has no other ABI")
    expect_equal(inside("other_abis"), ["EAFNOSUPPORT", "ENOSYS", "EAFNOSUPPORT"])


@test("io_uring and the user's keyrings are closed")
def _():
    if os.uname().machine != "x86_64":
        raise Skip("the test knows x86-64's system call numbers")
    expect_equal(inside("forbidden_calls"), dict.fromkeys(["io_uring", "add_key", "request_key", "keyctl"], "ENOSYS"))
    open_ones = inside("forbidden_calls", options=[])
    expect(open_ones["keyctl"] is None, open_ones)


def on_a_terminal(words):
    """What a program on a terminal of its own prints"""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execvp(words[0], words)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while data := os.read(descriptor, 65536):
            seen += data
    os.close(descriptor)
    os.waitpid(pid, 0)
    return seen.decode(errors="replace").replace("\r\n", "\n")


@test("nothing can be typed into the terminal for the shell outside to read")
def _():
    script = (f"{sandbox.NSRUN} {' '.join(CLOSED)} -- " + " ".join(map(repr, command("typed", "echo typed-in\n"))))
    seen = on_a_terminal(["sh", "-c", script + "; echo over"])
    expect_equal(json.loads(re.search(r"\{.*\}", seen)[0]), {"TIOCSTI": "EPERM", "TIOCLINUX": "EPERM"}, seen)


@test("processes outside are neither seen, signalled nor traced, by their numbers or otherwise")
def _():
    with subprocess.Popen(["sleep", "4242.25"]) as victim:
        try:
            for options in (CLOSED, [*CLOSED, "--map-root"]):
                seen = inside("aimed_at", victim.pid, options=options)
                expect(set(seen.values()) <= {"ESRCH", "ENOENT", "EPERM"}, seen)
                expect(len(lines := inside("processes", options=options)) <= 3, lines)
                expect(not any("4242.25" in line for line in lines), lines)
                expect_equal(victim.poll(), None)
        finally:
            victim.kill()


GROUP = """
sleep 1000 >/dev/null 2>&1 & victim=$!
%s -- sh -c 'kill -9 -1 2>&1; kill -9 0 2>&1; echo not killed'
echo status $?; kill $victim && echo alive
"""


@test("a signal to one's own process group, or to all, stays in the sandbox")
def _():
    script = GROUP % f"{sandbox.NSRUN} {' '.join(CLOSED)}"
    done = subprocess.run(["setsid", "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    expect("status 137\nalive\n" in done.stdout, done.stdout, done.stderr)
    seen = on_a_terminal(["sh", "-c", script])
    expect("not permitted" in seen and "status 0" in seen and "alive" in seen, seen)


@test("the agent is neither signalled nor looked into, not even by the sandbox's root")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"]):
        seen = inside("agent_looked_into", options=options)
        expect_equal(seen.pop("kill"), None)
        expect(set(seen.values()) <= {"EACCES", "EPERM"}, seen)


@test("shared memory and message queues of outside are not there")
def _():
    key, name = 0x6e737274, f"nsrun-e2e-{os.getpid()}"
    memory = unix_doors.check(unix_doors.libc.shmget(key, 4096, 0o1600))
    queue = unix_doors.check(unix_doors.libc.msgget(key, 0o1600))
    try:
        with open("/dev/shm/" + name, "w"):
            expect_equal(inside("shared_memory", key, name, options=[]), {"shm": None, "msg": None, "posix": None})
            expect_equal(inside("shared_memory", key, name), {"shm": "ENOENT", "msg": "ENOENT", "posix": "ENOENT"})
    finally:
        os.unlink("/dev/shm/" + name)
        unix_doors.libc.shmctl(memory, 0, None)  # IPC_RMID
        unix_doors.libc.msgctl(queue, 0, None)


@test("the covers cannot be lifted: not by the sandbox's root, nor in further namespaces")
def _():
    os.mkdir("scratch")
    with session() as (runtime, environment), Outside("c.sock") as alone:
        for path, below in ((runtime, "/bus"), (alone.path, "")):
            for options, further in (([*CLOSED, "--map-root"], False), ([*CLOSED, "--map-root"], True), (CLOSED, True)):
                done, said, after, still = inside("uncovered", path, below, os.path.abspath("scratch"), further,
                                                  options=options, env=environment)
                expect_equal((done, after), ([], "EINVAL"), options)
                expect(set(said) <= UNREACHED and still in UNREACHED, said, still)


@test("the namespaces that own the covers cannot be entered")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"]):
        seen = inside("other_namespaces", options=options)
        expect(set(seen.values()) <= {"EACCES", "EPERM"}, seen)
    done = sandbox.nsrun(*CLOSED, "--map-root", "--", "nsenter", "-t", "1", "-m", "-U", "true")
    expect(done.returncode != 0, done.stdout)


@test("root inside still rules its network, its mounts and its host name")
def _():
    script = ("ip link add e2e type veth peer name e2f && ip -o link show e2e | wc -l; "
              "mount -t tmpfs none /mnt && umount /mnt && echo mounts; hostname e2e && hostname")
    seen = sandbox.run("sh", "-c", script, options=[*CLOSED, "--map-root", "--uts"])
    expect_equal(seen.split(), ["1", "mounts", "e2e"])


@test("an ssh agent, a session bus and a tmux server answer outside and not inside")
def _():
    need("ssh-agent", "ssh-add", "tmux", "dbus-daemon")
    here = os.getcwd()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", f"{here}/agent.sock"], stdout=subprocess.DEVNULL)
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", f"--address=unix:path={here}/bus.sock"])
    subprocess.run(["tmux", "-S", "tmux.sock", "new-session", "-d"], check=True)
    try:
        until(lambda: all(os.path.exists(f"{name}.sock") for name in ("agent", "bus")), what="the sockets")
        environment = {**os.environ, "SSH_AUTH_SOCK": f"{here}/agent.sock"}
        expect_equal(sandbox.nsrun("--", "ssh-add", "-l", env=environment).returncode, 1, "it has no keys")
        expect_equal(sandbox.nsrun(*CLOSED, "--", "ssh-add", "-l", env=environment).returncode, 2, "it is not there")
        expect_equal(sandbox.nsrun(*CLOSED, "--", "tmux", "-S", "tmux.sock", "ls").returncode, 1)
        expect_equal(inside("greeting", f"{here}/bus.sock"), "ECONNREFUSED")
        options = [*CLOSED, "--allow-unix", "agent.sock"]
        expect_equal(sandbox.nsrun(*options, "--", "ssh-add", "-l", env=environment).returncode, 1)
    finally:
        subprocess.run(["tmux", "-S", "tmux.sock", "kill-server"], check=False)
        for process in (agent, bus):
            process.terminate()
            process.wait()


# As the README has it, with a program of the test's own in place of npm.
RECIPE = """
exec "$NSRUN" --allow "$HOST" --host-loopback -- \\
  bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib \\
        --symlink usr/lib64 /lib64 --ro-bind /etc /etc --ro-bind-try /run/systemd/resolve /run/systemd/resolve \\
        --proc /proc --dev /dev --tmpfs /tmp --bind "$PWD" "$PWD" --setenv HOME "$PWD" \\
        --unshare-pid --new-session --die-with-parent -- "$@"
"""


@test("with bubblewrap inside, the command has its project's files and the hosts it may reach, and nothing else")
def _():
    need("bwrap", "curl")
    os.mkdir("project")
    script = 'curl -s "http://$HOST/"; touch made; ls -A "$1" 2>&1; ls /var /home /root 2>&1'
    with Server(lambda connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nfetched\n"), "127.0.0.1") as server, \
            open("secret", "w"):
        environment = {**os.environ, "NSRUN": sandbox.NSRUN, "HOST": f"10.0.2.2:{server.port}"}
        done = subprocess.run(["sh", "-c", RECIPE, "sh", "sh", "-c", script, "sh", os.path.abspath(".")],
                              cwd="project", env=environment, text=True, capture_output=True)
    expect("fetched" in done.stdout, done.stdout, done.stderr)
    expect("secret" not in done.stdout and os.path.exists("project/made"), done.stdout)
    expect(done.stdout.count("No such file") == 3, done.stdout)
