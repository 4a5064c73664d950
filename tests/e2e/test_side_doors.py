"""Side doors: what a network namespace leaves open besides unix sockets (unix_doors), and a deny default closes.

    outside                                               closed sandbox
    shared memory, processes, the terminal ──── x ──────  the command, root inside or not
    the mounts that close doors ─────────────── x ──────
"""
import contextlib
import json
import os
import pty
import re
import subprocess

from support import sandbox, unix_doors
from support.closed import CLOSED, Outside, command, inside, session
from support.servers import Server
from support.theme import Skip, expect, expect_equal, need, test

UNREACHED = {"ECONNREFUSED", "ENOENT", "EACCES", "ENOTDIR", "ENXIO"}


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
    # A kernel may be built, or started, without i386's ABI.
    has_i386 = inside("other_abis", options=[])[0] != "ENOSYS"
    expect_equal(inside("other_abis"), ["EAFNOSUPPORT" if has_i386 else "ENOSYS", "ENOSYS", "EAFNOSUPPORT"])


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


# As docs/closed-sandboxes.md has it, with a program of the test's own in place of npm.
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
