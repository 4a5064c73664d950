"""Servers of the world: threads of the theme's process, or programs. Each is a context, gone at its end."""
import contextlib
import functools
import http.server
import queue
import socket
import ssl
import subprocess
import threading

from support import guest
from support.theme import until
from support.world import SERVER4, as_user, on_machine_of


class Server:
    """Calls `handle(connection)` for every connection, each in a thread of its own; keeps what it gives."""

    def __init__(self, handle, host=SERVER4, port=0, backlog=2048):
        self._handle = handle
        self._results = queue.Queue()
        self.host = host
        with on_machine_of(host):
            self._socket = socket.socket(guest.family_of(host))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._socket.listen(backlog)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(60)
            try:
                self._results.put(self._handle(connection))
            except OSError as error:
                self._results.put(guest.name_of(error))

    def result(self, seconds=20):
        """What the next handler to end gave; the errno's name where it failed."""
        return self._results.get(timeout=seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def count_and_tell(connection):
    """Takes a stream, and answers with its size and checksum."""
    size, checksum = guest.receive_stream(connection)
    connection.sendall(f"{size} {checksum}".encode())
    return size


@contextlib.contextmanager
def datagram_echo(host=SERVER4):
    """The port of a UDP server that sends everything back."""
    server = socket.socket(guest.family_of(host), socket.SOCK_DGRAM)
    server.bind((host, 0))

    def work():
        while True:
            datagram, peer = server.recvfrom(70000)
            if datagram == b"end":
                return
            server.sendto(datagram, peer)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    port = server.getsockname()[1]
    try:
        yield port
    finally:
        with socket.socket(guest.family_of(host), socket.SOCK_DGRAM) as last:
            last.sendto(b"end", (host, port))
        thread.join(5)
        server.close()


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web_server(directory, host=SERVER4, certificate=None, key=None, port=0):
    """The port of a server of a directory's files; with a certificate, over TLS."""
    server = http.server.ThreadingHTTPServer((host, port), functools.partial(_Files, directory=directory))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def listens(port, kind="tcp"):
    """Whether any socket of this network namespace waits on the port. A connect would use up iperf3 -1."""
    state = "0A" if kind == "tcp" else "07"  # TCP_LISTEN, and UDP's unconnected
    for family in ("", "6"):
        with open(f"/proc/net/{kind}{family}") as table:
            for line in table.readlines()[1:]:
                words = line.split()
                if int(words[1].split(":")[1], 16) == port and words[3] == state:
                    return True
    return False


@contextlib.contextmanager
def program(*command, port, input_=None):
    """A server program of the ordinary account, from the time it listens on its port."""
    process = subprocess.Popen([*as_user(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        until(lambda: listens(port) or process.poll() is not None,
              what=f"{command[0]} listening on port {port}")
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended: {process.stdout.read()[-500:]!r}")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
