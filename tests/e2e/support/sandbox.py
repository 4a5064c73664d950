"""Running nsrun, and programs in its sandboxes."""
import json
import os
import re
import resource
import select
import subprocess
import sys
import time

from support import guest
from support.world import as_user

NSRUN = os.environ.get("NSRUN", "nsrun")
OPTIONS = os.environ.get("E2E_OPTIONS", "").split()  # every sandbox gets these first
GUEST = os.path.abspath(guest.__file__)
USUAL_OPEN_FILES = 1024  # the soft limit of a login

PYTHON = [sys.executable, "-BSE"]  # the quick start


def guest_command(function, *arguments):
    return [*PYTHON, GUEST, function, json.dumps(arguments)]


def _usual_limits():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(USUAL_OPEN_FILES, hard), hard


def _limiting(limits):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits or _usual_limits())


def nsrun(*words, timeout=60, prefix=(), limits=None, **settings):
    """Runs nsrun with these words to its end. `prefix`: what the world runs it under; `limits`: soft and
    hard, of open files."""
    settings.setdefault("stdin", subprocess.DEVNULL)
    options = [] if words[:1] == ("ctl",) else OPTIONS
    return subprocess.run([*prefix, *as_user(), NSRUN, *options, *words], timeout=timeout, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_limiting(limits),
                          **settings)


def run(*command, options=(), **settings):
    """The output of a command in a sandbox, which must succeed."""
    done = nsrun(*options, "--", *command, **settings)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command[:6])}: status {done.returncode}: "
                             f"{done.stderr}{done.stdout[-300:]}")
    return done.stdout


def inside(function, *arguments, options=(), **settings):
    """What a function of support/guest.py gives when called in a sandbox."""
    return json.loads(run(*guest_command(function, *arguments), options=options, **settings))


class Running:
    """An nsrun that was started; killed, with all it runs, when its block is left."""

    def __init__(self, *words, limits=None, prefix=(), **settings):
        settings.setdefault("stdin", subprocess.PIPE)
        self.process = subprocess.Popen([*prefix, *as_user(), NSRUN, *OPTIONS, *words], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE,
                                        preexec_fn=_limiting(limits), **settings)
        self.pid = self.process.pid
        self._seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, pattern, seconds=20):
        """Reads the standard output as far as a match of the pattern."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern.encode(), self._seen)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} within {seconds} s; seen: {self._seen!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"no {pattern!r}; seen: {self._seen!r} {self.warnings()!r}")
            self._seen += data
        self._seen = self._seen[found.end():]
        return found

    def ask(self, command, seconds=20):
        """The output of a command line, where the sandbox runs a shell."""
        self.say(f"{command}\necho \":$?:\"")
        found = self.wait_for(r"(?s)^(.*?):(\d+):\n", seconds)
        return found[1].decode(errors="replace").strip()

    def warnings(self):
        """What came on standard error so far."""
        descriptor = self.process.stderr.fileno()
        os.set_blocking(descriptor, False)
        try:
            return (self.process.stderr.read() or b"").decode(errors="replace")
        finally:
            os.set_blocking(descriptor, True)

    def signal(self, number):
        os.kill(self.pid, number)

    def status(self, seconds=20):
        """The exit status; -n where signal n ended nsrun itself."""
        return self.process.wait(seconds)

    def until_idle(self, seconds=30):
        """Waits until nsrun did nothing at all for a second."""
        def used():
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rsplit(") ", 1)[1].split()[11:13]  # user and system time, proc(5)

        deadline, then = time.monotonic() + seconds, None
        while then != (now := used()):
            if time.monotonic() > deadline:
                raise AssertionError(f"nsrun did not come to rest within {seconds} s")
            then = now
            select.select([self.process.stdout], [], [], 1)

    def memory(self, field="VmRSS"):
        """Resident bytes of the host process; VmHWM: the most there ever were."""
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(rf"{field}:\s+(\d+) kB", file.read())[1]) * 1024


def start(*command, options=(), **settings):
    return Running(*options, "--", *command, **settings)


def start_guest(function, *arguments, options=(), **settings):
    """A function of support/guest.py at work in a sandbox; it says "ready" when it is."""
    running = start(*guest_command(function, *arguments), options=options, **settings)
    try:
        running.wait_for("ready\n")
    except BaseException:
        running.__exit__()
        raise
    return running


def start_shell(options=(), **settings):
    return start("sh", options=options, **settings)
