"""Closed sandboxes, and what they are closed to."""
import contextlib
import json
import os
import socket
import threading

from support import sandbox, unix_doors

CLOSED = ["--default", "deny"]
UNIX_DOORS = os.path.abspath(unix_doors.__file__)
DOORS = os.path.join(os.path.dirname(UNIX_DOORS), "doors.py")


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
        yield runtime, {**os.environ, "XDG_RUNTIME_DIR": runtime,
                        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}
