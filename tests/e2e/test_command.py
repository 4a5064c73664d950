"""The command: its status, its signals, its descriptors, and what is wrong with what was asked.

    this process ── argv, signals, descriptors ──► nsrun ──► command
                 ◄── exit status ─────────────────
"""
import os
import signal
import subprocess

from support import sandbox
from support.theme import expect, expect_equal, test


def status(*words, **settings):
    return sandbox.nsrun(*words, **settings).returncode


def one_line(done):
    expect(done.stderr.startswith("nsrun: ") and done.stderr.count("\n") == 1, "standard error:",
           repr(done.stderr))


@test("the exit status is the command's")
def _():
    for number in (0, 1, 7, 255):
        expect_equal(status("--", "sh", "-c", f"exit {number}"), number)


@test("a command ended by signal n gives 128 + n")
def _():
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        expect_equal(status("--", "sh", "-c", f"kill -{int(number)} $$"), 128 + number)


@test("a command that is not found gives 127, one that cannot be executed 126, and says why in one line")
def _():
    with open("not-executable", "w") as file:
        file.write("text\n")
    for command, expected in (("no-such-command", 127), ("./no-such-file", 127), ("./not-executable", 126),
                              ("/tmp", 126)):
        done = sandbox.nsrun("--", command)
        expect_equal(done.returncode, expected, command)
        one_line(done)


@test("a directory in PATH that may not be searched does not make a missing command a forbidden one")
def _():
    os.makedirs("closed", exist_ok=True)
    os.chmod("closed", 0)
    path = f"{os.path.abspath('closed')}:{os.environ['PATH']}"
    done = sandbox.nsrun("--", "no-such-command", env={**os.environ, "PATH": path})
    os.chmod("closed", 0o700)
    expect_equal(done.returncode, 127, done.stderr.strip())


@test("wrong usage gives 2 and one line that says what to write")
def _():
    for words in (["--no-such-flag", "--", "true"], [], ["--"], ["--mtu", "100", "--", "true"],
                  ["--mtu", "x", "--", "true"], ["-p", "x:y", "--", "true"], ["-p", "1-3:1-2", "--", "true"],
                  ["-p", "70000:1", "--", "true"], ["--network", "10.0.0.0", "--", "true"],
                  ["--network", "127.0.0.0/8", "--", "true"], ["--network6", "fe80::/64", "--", "true"],
                  ["--network", "224.0.0.0/24", "--", "true"], [""], ["--dial"]):
        done = sandbox.nsrun(*words)
        expect_equal(done.returncode, 2, f"status of {words}")
        one_line(done)


@test("--help and --version answer on standard output, with status 0")
def _():
    for option, text in (("--help", "--publish"), ("-h", "--publish"), ("--version", "nsrun ")):
        done = sandbox.nsrun(option)
        expect(done.returncode == 0 and text in done.stdout and not done.stderr, option, done.stdout,
               done.stderr)


@test("everything after the command is the command's, options included")
def _():
    expect_equal(sandbox.nsrun("printf", "%s,", "--mtu", "-p", "--", "a b", "").stdout, "--mtu,-p,--,a b,,")
    expect_equal(sandbox.nsrun("-q", "--", "printf", "%s,", "--pid").stdout, "--pid,")


@test("the environment, the directory, standard input and open descriptors are the command's")
def _():
    reading, writing = os.pipe()
    os.write(writing, b"from a descriptor")
    os.close(writing)
    done = sandbox.nsrun("--", "sh", "-c", f'pwd; echo "$E2E_WORD"; cat; cat <&{reading}', pass_fds=[reading],
                         env={**os.environ, "E2E_WORD": "a word"}, stdin=None, input="from input\n")
    os.close(reading)
    expect_equal(done.stdout, f"{os.getcwd()}\na word\nfrom input\nfrom a descriptor")


@test("the command finds none of nsrun's own descriptors")
def _():
    seen = sandbox.run("ls", "/proc/self/fd").split()
    expect_equal(seen, ["0", "1", "2", "3"], "descriptors (3 is ls's own)")


@test("signals to nsrun reach the command")
def _():
    for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"):
        with sandbox.start_guest("await_signal") as running:
            running.signal(getattr(signal, name))
            running.wait_for(f'"{name}"')
            expect_equal(running.status(), 0)


@test("a command that dies of the signal passed on gives 128 + n")
def _():
    with sandbox.start("sh", "-c", "echo ready; exec sleep 1000") as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        expect_equal(running.status(), 128 + signal.SIGTERM)


@test("a signal that nsrun's parent ignores is ignored in the command, and no other")
def _():
    def masks(done):
        return [line.split()[1] for line in done.splitlines() if line.startswith(("SigIgn", "SigBlk"))]

    command = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]
    quiet = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    plain = subprocess.run([*quiet, *command], capture_output=True, text=True).stdout
    boxed = subprocess.run([*quiet, sandbox.NSRUN, "--", *command], capture_output=True, text=True).stdout
    expect_equal(masks(boxed), masks(plain))


@test("output into a closed pipe ends the command, as it would outside")
def _():
    done = subprocess.run(["bash", "-c", f'"{sandbox.NSRUN}" -- yes | head -1; echo ${{PIPESTATUS[0]}}'],
                          capture_output=True, text=True, timeout=20)
    expect_equal(done.stdout.split(), ["y", str(128 + signal.SIGPIPE)])


@test("nsrun runs in nsrun")
def _():
    expect_equal(status("--", sandbox.NSRUN, "--", "sh", "-c", "exit 9"), 9)


@test("nothing but the command's own is printed")
def _():
    done = sandbox.nsrun("--", "sh", "-c", "echo out; echo err >&2")
    expect_equal((done.stdout, done.stderr), ("out\n", "err\n"))


@test("timeout(1) ends nsrun and the command")
def _():
    done = subprocess.run(["timeout", "0.3", sandbox.NSRUN, "--", "sleep", "1000.25"], timeout=10)
    expect_equal(done.returncode, 124)
    expect_equal(subprocess.run(["pgrep", "-f", "^sleep 1000.25"], capture_output=True).stdout, b"",
                 "still there")


@test("a parent that ignores SIGCHLD does not take the command's status away")
def _():
    done = subprocess.run(["sh", "-c", 'trap "" CHLD; exec "$@"', "sh", sandbox.NSRUN, "--", "sh", "-c",
                           "exit 6"])
    expect_equal(done.returncode, 6)


@test("a working directory that was removed is no obstacle")
def _():
    script = f'mkdir gone && cd gone && rmdir ../gone && exec "{sandbox.NSRUN}" -- echo here'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    expect_equal((done.returncode, done.stdout), (0, "here\n"), done.stderr)


@test("a thousand arguments and a large environment arrive")
def _():
    words = [f"word{number}" for number in range(1000)]
    done = sandbox.nsrun("--", "sh", "-c", "echo $# ${#LARGE}", "sh", *words,
                         env={**os.environ, "LARGE": "x" * 100_000})
    expect_equal(done.stdout.split(), ["1000", "100000"])


@test("1 GB of the command's output passes")
def _():
    done = subprocess.run(f'"{sandbox.NSRUN}" -- head -c 1000000000 /dev/zero | wc -c', shell=True,
                          capture_output=True,
                          text=True)
    expect_equal(done.stdout.strip(), "1000000000")


@test("a descriptor at the very limit is inherited, with its number and the limit")
def _():
    script = 'ulimit -Sn 256; exec "$@" 255<&0'
    for hard in ("", "ulimit -Hn 256; "):
        done = subprocess.run(["bash", "-c", hard + script, "bash", sandbox.NSRUN, "--", "bash", "-c",
                               "ulimit -Sn; head -c 5 <&255"],
                              stdin=open(__file__), capture_output=True, text=True)
        expect_equal((done.returncode, done.stdout), (0, '256\n"""Th'), done.stderr)


@test("when no descriptor is left, nsrun names the limit")
def _():
    script = 'ulimit -n 24; for fd in $(seq 10 23); do eval "exec $fd<&0"; done; exec "$@"'
    done = subprocess.run(["bash", "-c", script, "bash", sandbox.NSRUN, "--", "true"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    expect(done.returncode == 125 and "Too many open files (raise the limit" in done.stderr, done.returncode, done.stderr)
