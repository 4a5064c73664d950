"""The control socket of a running nsrun, asked as its user asks: from nsrun's own user namespace."""
import contextlib
import json
import os
import subprocess
import sys

from support import sandbox
from support.theme import until

SOCKET = "control.sock"


def beside(running):
    """The words before a command that put it into the user namespace of this nsrun, without privileges."""
    return ["nsenter", "--user", "--target", str(running.pid), "--preserve-credentials", "--"]


def start(*command, options=(), path=SOCKET, **settings):
    """A sandbox with a control socket, once that is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of an nsrun that was killed
    running = sandbox.start(*command, options=["--control", path, *options], **settings)
    try:
        until(lambda: os.path.exists(path), what="the control socket")
    except BaseException:
        running.__exit__()
        raise
    return running


def ctl(running, *words, path=SOCKET):
    return subprocess.run([*beside(running), sandbox.NSRUN, "ctl", path, *words], text=True, timeout=30,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def asked(running, *words, path=SOCKET):
    """What `nsrun ctl` is answered."""
    done = ctl(running, *words, "--json", path=path)
    if done.returncode != 0:
        raise AssertionError(f"ctl {' '.join(words)}: status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def error_of(running, *words, path=SOCKET):
    """What it says when it is refused."""
    done = ctl(running, *words, path=path)
    if done.returncode == 0:
        raise AssertionError(f"ctl {' '.join(words)} was answered: {done.stdout}")
    return done.stderr


_RAW = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(20)
connection.connect(sys.argv[1])
data = sys.stdin.buffer.read()
try:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
except OSError:
    pass
answer = b""
try:
    while block := connection.recv(65536):
        answer += block
except OSError:
    pass
sys.stdout.buffer.write(answer)
"""


def raw(running, data, path=SOCKET):
    """The answers to these bytes, as a list of objects."""
    done = subprocess.run([*beside(running), sys.executable, "-c", _RAW, path], input=data, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]
