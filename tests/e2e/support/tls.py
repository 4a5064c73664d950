"""TLS for tests of names: servers that remember which names were asked for, and ClientHellos made to order."""
import os
import ssl
import struct
import subprocess

from support.servers import Server

ECH, UNKNOWN, SERVER_NAME = 0xFE0D, 0xFF77, 0


def certificate():
    """server.pem and server.key in the current directory, for whatever name."""
    if not os.path.exists("server.pem"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key",
                        "-out", "server.pem", "-days", "2", "-subj", "/CN=e2e test"],
                       check=True, capture_output=True)
    return "server.pem", "server.key"


class TlsServer(Server):
    """Sends back what it is sent. `names`: the server names that handshakes had, as they were read. With a
    `curve` of its own it asks clients that offer another one for their hello once more."""

    def __init__(self, host, port=0, curve=None):
        self.names, self.hellos = [], []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate())
        self._context.sni_callback = lambda _, name, __: self.names.append(name)
        if curve:
            self._context.set_ecdh_curve(curve)
        super().__init__(self._talk, host, port)

    def _talk(self, connection):
        self.hellos.append(connection.getpeername())
        with self._context.wrap_socket(connection, server_side=True) as stream:
            while data := stream.recv(65536):
                stream.sendall(data)


def hello(name=None, ech=False, padding=0, record_size=None):
    """A ClientHello as Python's client sends it, with an ECH extension, or one nobody knows, behind it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    message = sent.read()[5:]
    more = (struct.pack("!HH", ECH, 8) + bytes(8)) * ech
    if padding:
        more += struct.pack("!HH", UNKNOWN, padding) + bytes(padding)
    return records(_extended(message, more), record_size)


def _extended(message, more):
    """The handshake message with more extensions at its end (RFC 8446 4.1.2)."""
    at = 4 + 2 + 32
    at += 1 + message[at]                                       # session id
    at += 2 + struct.unpack("!H", message[at:at + 2])[0]        # cipher suites
    at += 1 + message[at]                                       # compression
    size = struct.unpack("!H", message[at:at + 2])[0] + len(more)
    body = message[4:at] + struct.pack("!H", size) + message[at + 2:] + more
    return message[:1] + struct.pack("!I", len(body))[1:] + body


def records(message, size=None):
    size = size or 16384
    parts = [message[at:at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(part)) + part for part in parts)
