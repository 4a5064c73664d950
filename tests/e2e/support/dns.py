"""A name server of the world: a table, over UDP and TCP, that remembers what it was asked."""
import ipaddress
import socket
import struct
import threading

from support.world import RESOLVER4

TYPES = {"A": 1, "TXT": 16, "AAAA": 28}
_MOST_OVER_UDP = 512  # RFC 1035 4.2.1; the queries of these tests ask for no more


def _read_name(message, at):
    labels = []
    while length := message[at]:
        labels.append(message[at + 1:at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _record_data(kind, value):
    if kind == "TXT":
        parts = [value[i:i + 255].encode() for i in range(0, len(value), 255)]
        return b"".join(bytes([len(part)]) + part for part in parts)
    return ipaddress.ip_address(value).packed


class NameServer:
    """`table` maps (name, type) to a list of values; an unknown name does not exist."""

    def __init__(self, table, address=RESOLVER4):
        self.asked = []
        self._table = {(name.lower(), kind): values for (name, kind), values in table.items()}
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind((address, 53))
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, 53))
        self._listener.listen(10)
        self._closing = False
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._serve_datagrams, self._serve_connections)]
        for thread in self._threads:
            thread.start()
        self._address = address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self._address, 53))
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        self._datagrams.close()

    def _answer(self, query, transport, most):
        identifier, flags = struct.unpack("!HH", query[:4])
        name, end = _read_name(query, 12)
        number = struct.unpack("!H", query[end:end + 2])[0]
        kind = next((kind for kind, known in TYPES.items() if known == number), str(number))
        self.asked.append((name, kind, transport))
        values = self._table.get((name, kind), [])
        exists = any(known == name for known, _ in self._table)
        records = b""
        for value in values:
            data = _record_data(kind, value)
            records += struct.pack("!HHHIH", 0xC00C, number, 1, 60, len(data)) + data
        head = struct.pack("!HHHHHH", identifier, 0x8180 | (flags & 0x0100) | (0 if exists else 3), 1,
                           len(values), 0,
                           0)
        message = head + query[12:end + 4] + records
        if len(message) <= most:
            return message
        head = struct.pack("!HHHHHH", identifier, 0x8380, 1, 0, 0, 0)  # truncated: ask again over TCP
        return head + query[12:end + 4]

    def _serve_datagrams(self):
        while True:
            query, client = self._datagrams.recvfrom(4096)
            if self._closing:
                return
            self._datagrams.sendto(self._answer(query, "udp", _MOST_OVER_UDP), client)

    def _serve_connections(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                while size := stream.read(2):
                    answer = self._answer(stream.read(struct.unpack("!H", size)[0]), "tcp", 65535)
                    stream.write(struct.pack("!H", len(answer)) + answer)
                    stream.flush()
