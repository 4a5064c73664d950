"""lennut as its specification has it: both roles, written from that alone."""
import socket
import threading

from support.proxies import read_exactly, relay
from support.servers import Server

HEADER = b"lennet01"


class Peer:
    """A server: whoever connects to `port` is connected to the oldest client that waits at `clients_port`."""

    def __init__(self, host="127.0.0.1", clients_port=0):
        self._waiting, self._changed = [], threading.Condition()
        self._clients = Server(self._wait, host, clients_port)
        self._proxy = Server(self._serve, host)
        self.port, self.clients_port = self._proxy.port, self._clients.port

    def _wait(self, connection):
        kept = connection.dup()
        with self._changed:
            self._waiting.append(kept)
            self._changed.notify_all()

    def await_clients(self, count, seconds=10):
        with self._changed:
            return self._changed.wait_for(lambda: len(self._waiting) >= count, seconds)

    def waiting(self):
        with self._changed:
            return len(self._waiting)

    def _serve(self, connection):
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, 10):
                return
            client = self._waiting.pop(0)
        with client:
            for byte in HEADER:
                client.sendall(bytes([byte]))
            relay(connection, client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._proxy.__exit__()
        self._clients.__exit__()
        with self._changed:
            for client in self._waiting:
                client.close()


def connect_and_wait(clients_port, host="127.0.0.1"):
    """A client that waits."""
    return socket.create_connection((host, clients_port), 10)


def carry(client, target_port):
    """What a client does with its turn: the header read, both ways to the target."""
    assert read_exactly(client, len(HEADER)) == HEADER
    with client, socket.create_connection(("127.0.0.1", target_port), 10) as target:
        relay(client, target)
