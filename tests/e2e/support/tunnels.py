"""nsrun tunnel, either end of it."""
import contextlib
import os
import socket
import subprocess

from support import sandbox
from support.theme import until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tunnel(sandbox.Running):
    """`nsrun tunnel WORDS`, once it is ready."""

    def __init__(self, *words, ready=True, **settings):
        reads, writes = os.pipe()
        super().__init__("tunnel", *words, "--ready-fd", str(writes), pass_fds=[writes], **settings)
        os.close(writes)
        with os.fdopen(reads, "rb") as line:
            self.was_ready = ready and line.read() == b"ready\n"
        if ready and not self.was_ready:
            status = self.process.wait(20)
            text = self.warnings()
            self.__exit__()
            raise AssertionError(f"it was not ready: {status}, {text}")


def server(*options, port=None, **settings):
    port = port or free_port()
    made = Tunnel("server", "--host", "127.0.0.1", "--port", str(port), *options, **settings)
    made.port = port
    return made


def client(port, *forwards, options=(), scheme="ws", host="127.0.0.1", **settings):
    words = [word for forward in forwards for word in ("--forward", forward)]
    return Tunnel("client", "--server", f"{scheme}://{host}:{port}/", *words, *options, **settings)


@contextlib.contextmanager
def both(*forwards, server_options=(), client_options=()):
    with server(*server_options) as one, client(one.port, *forwards, options=client_options) as other:
        yield one, other


def answers(port, text="hello", host="127.0.0.1", seconds=5):
    """Whether an echo server is behind the port."""
    try:
        with socket.create_connection((host, port), seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(text.encode())
            seen = b""
            while len(seen) < len(text) and (more := connection.recv(65536)):
                seen += more
            return seen == text.encode()
    except OSError:
        return False


def is_taken(port):
    return subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True).stdout != ""


def until_free(port):
    until(lambda: not is_taken(port), 10, f"the end of port {port}")
