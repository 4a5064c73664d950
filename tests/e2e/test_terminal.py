"""A terminal: keys and job control work in a sandbox as they do outside.

    this process ── pty ──► bash -i ──► nsrun ──► command     one terminal, one foreground process group
"""
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

from support import closed, sandbox
from support.theme import expect, expect_equal, need, test, until

CTRL_C, CTRL_Z, CTRL_BACKSLASH = "\x03", "\x1a", "\x1c"
PROMPT = "e2e> "


class Terminal:
    """A job-control shell on a terminal of its own."""

    def __init__(self, rows=24, columns=80):
        need("bash")
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1=PROMPT, TERM="dumb", NSRUN=sandbox.NSRUN)
            os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
        self.seen = ""
        self.resize(rows, columns)
        self.wait_for(re.escape(PROMPT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.descriptor)  # the foreground group hears of it: SIGHUP
        os.waitpid(self.pid, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def wait_for(self, pattern, seconds=10):
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} within {seconds} s; the terminal shows {self.seen!r}")
            self.seen += os.read(self.descriptor, 65536).decode(errors="replace").replace("\r\n", "\n")
        self.seen = self.seen[found.end():]
        return found

    def run(self, line):
        """What a command line prints."""
        self.type(line + "\n")
        self.wait_for(re.escape(line) + "\n")
        return self.wait_for("(?s)^(.*?)" + re.escape(PROMPT))[1].strip()

    def begin(self, line, sign):
        self.type(line + "\n")
        self.wait_for(re.escape(line) + "\n")
        self.wait_for(sign)


@test("Ctrl-C interrupts the command, and its status is 130")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- sh -c 'echo begun; exec sleep 1000'", "begun\n")
        terminal.type(CTRL_C)
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "130")


@test("a command that handles Ctrl-C once goes on")
def _():
    with Terminal() as terminal:
        script = 'trap "echo caught" INT; echo begun; read x; read x; echo read $x'
        terminal.begin(f"$NSRUN -- bash -c '{script}'", "begun\n")
        terminal.type(CTRL_C)
        terminal.wait_for("caught\n")
        terminal.type("\nword\n")
        terminal.wait_for("read word\n")


@test("Ctrl-\\ quits the command")
def _():
    with Terminal() as terminal:
        terminal.run("ulimit -c 0")
        terminal.begin("$NSRUN -- sh -c 'echo begun; exec sleep 1000'", "begun\n")
        terminal.type(CTRL_BACKSLASH)
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "131")


@test("Ctrl-Z stops the command and fg continues it, twice")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- cat", "")
        terminal.type("one\n")
        terminal.wait_for("one\none\n")
        for word in ("two", "three"):
            terminal.type(CTRL_Z)
            terminal.wait_for("Stopped")
            terminal.wait_for(re.escape(PROMPT))
            terminal.begin("fg", "cat\n")
            terminal.type(word + "\n")
            terminal.wait_for(f"{word}\n{word}\n")
        terminal.type("\x04")
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "0")


@test("Ctrl-Z and fg work in a sandbox within a sandbox, and with a pid namespace")
def _():
    for command in ("$NSRUN -- $NSRUN -- cat", "$NSRUN --pid -- cat"):
        with Terminal() as terminal:
            terminal.begin(command, "")
            terminal.type("one\n")
            terminal.wait_for("one\none\n")
            terminal.type(CTRL_Z)
            terminal.wait_for("Stopped")
            terminal.wait_for(re.escape(PROMPT))
            terminal.begin("fg", "cat\n")
            terminal.type("two\n")
            terminal.wait_for("two\ntwo\n")
            terminal.type(CTRL_C)
            terminal.wait_for(re.escape(PROMPT))
            expect_equal(terminal.run("echo $?"), "130", command)


@test("a command in the background that reads the terminal is stopped until it has it")
def _():
    with Terminal() as terminal:
        terminal.type("$NSRUN -- cat &\n")
        until(lambda: "Stopped" in terminal.run("jobs"), what="the job's stop")
        terminal.begin("fg", "cat\n")
        terminal.type("one\n")
        terminal.wait_for("one\none\n")
        terminal.type("\x04")
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "0")


@test("Ctrl-C ends a pipeline of sandboxes")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- sh -c 'echo begun; exec sleep 1000' | $NSRUN -- cat", "begun\n")
        terminal.type(CTRL_C)
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo ${PIPESTATUS[@]}; jobs"), "130 130")


@test("a terminal that hangs up ends the sandbox")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- sh -c 'echo begun; exec sleep 1000.75'", "begun\n")
    until(lambda: not subprocess.run(["pgrep", "-f", "^sleep 1000.75"], capture_output=True).stdout, 5,
          "the command's end")


@test("bg lets a stopped command go on in the background")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- bash -c 'echo begun; kill -STOP $$; echo went on >done'", "begun\n")
        terminal.wait_for("Stopped")
        terminal.wait_for(re.escape(PROMPT))
        terminal.run("bg; wait")
        expect_equal(terminal.run("cat done"), "went on")


@test("the window's size is the command's, and a change of it is told")
def _():
    with Terminal(33, 111) as terminal:
        expect_equal(terminal.run("$NSRUN -- stty size"), "33 111")
        await_signal = " ".join([*sandbox.PYTHON, sandbox.GUEST, "await_signal", "[]"])
        terminal.begin(f"$NSRUN -- sh -c '{await_signal} && stty size'", "ready\n")
        terminal.resize(44, 99)
        terminal.wait_for("\"SIGWINCH\"\n44 99\n")


@test("an interactive shell in the sandbox has job control")
def _():
    with Terminal() as terminal:
        terminal.begin("$NSRUN -- bash --norc --noprofile --noediting -i", re.escape(PROMPT))
        terminal.begin("cat", "")
        terminal.type("one\n")
        terminal.wait_for("one\none\n")
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        terminal.wait_for(re.escape(PROMPT))
        expect("Stopped" in terminal.run("jobs"))
        terminal.begin("fg", "cat\n")
        terminal.type("two\n")
        terminal.wait_for("two\ntwo\n")  # not before is the terminal cat's again
        terminal.type(CTRL_C)
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "130")
        terminal.type("exit 5\n")
        terminal.wait_for(re.escape(PROMPT))
        expect_equal(terminal.run("echo $?"), "5")


@test("after an interactive shell inside, or its death, the terminal is given back to the script around it")
def _():
    shell = "bash --norc --noprofile --noediting -i"
    for options in ("--pid", "--default deny", ""):
        for end in ("exit", "kill -KILL $$"):
            with Terminal() as terminal:
                terminal.begin(f"sh -c '$NSRUN {options} -- {shell}; read line; echo read $line'", re.escape(PROMPT))
                terminal.type(end + "\n")
                terminal.wait_for(re.escape(end) + "\n")
                terminal.type("word\n")
                terminal.wait_for("read word\n")
                terminal.wait_for(re.escape(PROMPT))
                expect_equal(terminal.run("jobs"), "", f"after {end} with {options}")


@test("a job in the background of a closed sandbox does not stop the script around nsrun by using the terminal")
def _():
    for use in ("changed", "read"):
        with Terminal() as terminal:
            command = " ".join(map(shlex.quote, closed.command("terminal_used_in_background", use)))
            with open("script", "w") as script:
                script.write(f"$NSRUN --default deny -- {command}; echo over $?\n")
            terminal.type("sh script\n")
            terminal.wait_for(r'"(EIO|done)"')
            terminal.wait_for("over 0\n")
            terminal.wait_for(re.escape(PROMPT))
            expect_equal(terminal.run("jobs"), "", use)
