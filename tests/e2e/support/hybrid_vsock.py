"""The monitor of a virtual machine that offers its vsock at a unix socket, as Firecracker and Cloud Hypervisor do."""
import os
import socket
import threading

GREETING = b"github.com/rancher-sandbox/rancher-desktop-vtunnel"


class Monitor:
    """`ports`: what the machine does with a connection to each; others are closed, as the monitor does."""

    def __init__(self, path, ports):
        self.path, self.ports, self.asked = os.path.abspath(path), dict(ports), []
        if os.path.exists(path):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        os.chmod(path, 0o777)
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
            connection.settimeout(30)
            line = b""
            while not line.endswith(b"\n"):
                byte = connection.recv(1)
                if not byte:
                    return
                line += byte
            self.asked.append(line)
            work = self.ports.get(int(line.split()[1]))
            if work:
                connection.sendall(b"OK 1073741824\n")
                try:
                    work(connection)
                except OSError:
                    pass

    def connect_to_host(self, port):
        """As the machine's client of the host's port."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(f"{self.path}_{port}")
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.unlink(self.path)


def greet(connection):
    connection.sendall(GREETING)
