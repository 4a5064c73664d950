"""SOCKS5 and HTTP proxies of the world, which write down what they are asked."""
import contextlib
import ipaddress
import select
import socket
import threading

from support.servers import Server


def relay(one, other):
    """Both ways, half-closes included, until both have ended."""
    onward = {one: other, other: one}
    while onward:
        for source in select.select(list(onward), [], [])[0]:
            target = onward[source]
            data = source.recv(65536)
            if data:
                target.sendall(data)
            else:
                del onward[source]
                with contextlib.suppress(OSError):
                    target.shutdown(socket.SHUT_WR)


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the client left")
        data += more
    return data


class Proxy:
    """`names` maps host names to the addresses the proxy resolves them to; `account` is (user, password)."""

    def __init__(self, names=None, account=None):
        self.names, self.account = names or {}, account
        self.asked, self.logins = [], []
        self._server = Server(self.handle)
        self.host, self.port = self._server.host, self._server.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.__exit__()

    def connect(self, host, port):
        return socket.create_connection((self.names.get(host, host), port), 10)


SOCKS_REFUSED, SOCKS_UNREACHABLE, SOCKS_FAILURE = 5, 4, 1  # RFC 1928 6


class Socks5(Proxy):
    def handle(self, client):
        methods = read_exactly(client, read_exactly(client, 2)[1])
        wanted = 2 if self.account else 0
        if wanted not in methods:
            return client.sendall(b"\x05\xff")
        client.sendall(bytes([5, wanted]))
        if wanted == 2 and not self._login(client):
            return None
        _, command, _, kind = read_exactly(client, 4)
        host = self._read_host(client, kind)
        port = int.from_bytes(read_exactly(client, 2), "big")
        self.asked.append(({1: "connect", 3: "associate"}[command], {1: "v4", 3: "name", 4: "v6"}[kind], host,
                           port))
        return self._associate(client) if command == 3 else self._connect(client, host, port)

    def _login(self, client):  # RFC 1929
        user = read_exactly(client, read_exactly(client, 2)[1]).decode()
        password = read_exactly(client, read_exactly(client, 1)[0]).decode()
        self.logins.append((user, password))
        client.sendall(b"\x01" + (b"\x00" if (user, password) == self.account else b"\x01"))
        return (user, password) == self.account

    def _read_host(self, client, kind):
        if kind == 3:
            return read_exactly(client, read_exactly(client, 1)[0]).decode()
        return str(ipaddress.ip_address(read_exactly(client, 4 if kind == 1 else 16)))

    def _reply(self, client, code, port=0):
        client.sendall(bytes([5, code, 0, 1]) + socket.inet_aton(self.host) + port.to_bytes(2, "big"))

    def _connect(self, client, host, port):
        try:
            far = self.connect(host, port)
        except ConnectionRefusedError:
            return self._reply(client, SOCKS_REFUSED)
        except OSError:
            return self._reply(client, SOCKS_UNREACHABLE)
        with far:
            self._reply(client, 0)
            relay(client, far)

    def _associate(self, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((self.host, 0))
            self._reply(client, 0, udp.getsockname()[1])
            threading.Thread(target=self._pass_datagrams, args=(udp,), daemon=True).start()
            client.recv(1)  # the association lasts as long as this connection
            with contextlib.suppress(OSError):
                udp.shutdown(socket.SHUT_RDWR)

    def _pass_datagrams(self, udp):
        """IPv4 targets alone (RFC 1928 7)."""
        home = None
        while True:
            try:
                datagram, peer = udp.recvfrom(70000)
            except OSError:
                return
            if not peer:  # shut down
                return
            if home in (None, peer):
                home = peer
                udp.sendto(datagram[10:],
                           (socket.inet_ntoa(datagram[4:8]), int.from_bytes(datagram[8:10], "big")))
            else:
                udp.sendto(b"\0\0\0\x01" + socket.inet_aton(peer[0]) + peer[1].to_bytes(2, "big") + datagram,
                           home)


class HttpConnect(Proxy):
    def handle(self, client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read_exactly(client, 1)
        request, *fields = head.decode().split("\r\n")
        method, target, _ = request.split(" ")
        self.asked.append((method, target))
        self.logins += [field.split(": ", 1)[1] for field in fields
                        if field.lower().startswith("proxy-authorization:")]
        host, port = target.rsplit(":", 1)
        try:
            far = self.connect(host.strip("[]"), int(port))
        except OSError:
            return client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        with far:
            client.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            relay(client, far)
