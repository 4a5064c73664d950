"""A tunnel's other side, written from the specification: WebSocket (RFC 6455) and the JSON wire of docs/tunnel.md.
Nothing of nsrun's is in it."""
import base64
import hashlib
import json
import os
import socket
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def _head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := connection.recv(1)):
            raise ConnectionError(f"no head: {head!r}")
        head += byte
    lines = head.decode().split("\r\n")
    return lines[0], dict(line.lower().split(": ", 1) for line in lines[1:] if line), lines


class WebSocket:
    def __init__(self, connection, masks):
        self.connection, self.masks = connection, masks

    @classmethod
    def connect(cls, port, host="127.0.0.1", path="/", headers=()):
        connection = socket.create_connection((host, port), 10)
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket",
                                        "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                                        "Sec-WebSocket-Version: 13", *headers, "", ""]).encode())
        status, fields, _ = _head(connection)
        if " 101 " not in status:
            raise ConnectionError(status)
        expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert fields["sec-websocket-accept"] == expected.lower(), fields
        made = cls(connection, masks=True)
        made.fields = fields
        return made

    @classmethod
    def accept(cls, connection):
        connection.settimeout(20)
        request, fields, lines = _head(connection)
        key = next(line.split(": ", 1)[1] for line in lines if line.lower().startswith("sec-websocket-key: "))
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        connection.sendall("\r\n".join(["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
                                        "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}", "", ""]).encode())
        made = cls(connection, masks=False)
        made.request, made.fields = request, fields
        return made

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            if not (more := self.connection.recv(size - len(data))):
                raise ConnectionError("the WebSocket was cut off")
            data += more
        return data

    def receive(self, seconds=20):
        """The next message: its kind and bytes. A close is one, and is answered."""
        self.connection.settimeout(seconds)
        whole, kind = b"", None
        while True:
            first, second = self._exactly(2)
            size = second & 127
            if size >= 126:
                size = struct.unpack("!H" if size == 126 else "!Q", self._exactly(2 if size == 126 else 8))[0]
            mask = self._exactly(4) if second & 128 else bytes(4)
            assert bool(second & 128) != self.masks, "the mask is on the wrong side"
            data = self._exactly(size)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data)) if any(mask) else data
            opcode = first & 15
            if opcode == PING:
                self.send(data, PONG)
            elif opcode == CLOSE:
                try:
                    self.send(data, CLOSE)
                except OSError:
                    pass
                return CLOSE, data
            elif opcode != PONG:
                kind = opcode or kind
                whole += data
                if first & 128:
                    return kind, whole

    def send(self, data, kind=TEXT):
        head = bytes([128 | kind])
        mask = os.urandom(4) if self.masks else b""
        bit = 128 if self.masks else 0
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 65536:
            head += struct.pack("!BH", bit | 126, len(data))
        else:
            head += struct.pack("!BQ", bit | 127, len(data))
        if mask:
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.connection.sendall(head + mask + data)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class JsonPeer:
    """One side of the JSON wire. What it hears is kept as the very text it came as."""

    def __init__(self, websocket):
        self.websocket, self.transcript = websocket, []

    def say(self, text, kind=TEXT):
        self.websocket.send(text.encode() if isinstance(text, str) else text, kind)

    def hear(self, seconds=20):
        """The next message's text; pings and pongs too."""
        kind, data = self.websocket.receive(seconds)
        if kind == CLOSE:
            return f"close {struct.unpack('!H', data[:2])[0]}"
        assert kind == TEXT, f"a frame of kind {kind}"
        self.transcript.append(data.decode())
        return data.decode()

    def hear_stream(self, stream):
        """The bytes of a stream, to its close."""
        data = b""
        while True:
            message = json.loads(self.hear())
            assert message.get("stream_id") == stream, message
            if message["type"] == "close":
                return data
            data += base64.b64decode(message["data"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.websocket.close()


def data_message(stream, data):
    return '{"type":"data","stream_id":%d,"data":"%s"}' % (stream, base64.b64encode(data).decode())
