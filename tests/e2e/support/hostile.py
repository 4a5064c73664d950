"""What a guest does that wants to get past its rules; called as guest.py is. Standard library only."""
import array
import json
import socket
import ssl
import struct
import sys
import threading

sys.path.insert(0, __file__.rsplit("/support/", 1)[0])
from support.guest import connect, family_of, name_of  # noqa: E402

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
GUEST4, GUEST6 = "10.0.2.100", "fd00::100"


# ---- TLS

def tls_talk(host, port, server_name):
    """What comes back of a word over TLS; the error where the handshake fails"""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with connect(host, port) as plain, context.wrap_socket(plain, server_hostname=server_name) as stream:
            stream.sendall(b"word")
            return stream.recv(100).decode()
    except OSError as error:
        return "TLS" if isinstance(error, ssl.SSLError) else name_of(error)


def say(host, port, pieces, finish=False):
    """Sends pieces (hexadecimal), each a segment of its own; what comes back first, as hexadecimal, or the
    error's name"""
    try:
        with connect(host, port) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(bytes.fromhex(piece))
            if finish:
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(65536).hex()
    except OSError as error:
        return name_of(error)


def second_hello_elsewhere(host, port, name, other):
    """Says `name`, is asked for its hello once more, and then says `other`, which is as long"""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname=name)
    with connect(host, port) as connection:
        try:
            for said in (name, other):
                try:
                    client.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                connection.sendall(sent.read().replace(name.encode(), said.encode()))
                received.write(connection.recv(65536))
            return "answered"
        except OSError as error:
            return name_of(error)


def greeting_then_echo(host, port):
    """Waits for the far side's first word before it says its own"""
    with connect(host, port) as connection:
        greeting = connection.recv(100).decode()
        connection.sendall(b"word")
        return [greeting, connection.recv(100).decode()]


# ---- names

def ask_name_server(server, queries, tcp=False):
    """For each query (its question's name as hexadecimal, in wire form): [response code, addresses]"""
    seen = []
    for number, (name, kind) in enumerate(queries):
        head = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0)
        query = head + bytes.fromhex(name) + struct.pack("!HH", kind, 1)
        kind_of_socket = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        try:
            with socket.socket(family_of(server), kind_of_socket) as connection:
                connection.settimeout(3)
                connection.connect((server, 53))
                connection.sendall(struct.pack("!H", len(query)) * tcp + query)
                answer = connection.recv(65536)[2 * tcp:]
            count = struct.unpack("!H", answer[6:8])[0]
            seen.append([answer[3] & 15, count])
        except OSError as error:
            seen.append(name_of(error))
    return seen


def connect_all(hosts, port, seconds=3):
    """For each host: the error's name, or nothing where it connected"""
    seen = []
    for host in hosts:
        try:
            connect(host, port, seconds).close()
            seen.append(None)
        except OSError as error:
            seen.append(name_of(error) if not isinstance(error, socket.gaierror) else "no such name")
        except UnicodeError:
            seen.append("no such name")
    return seen


def through_own_relay(host, port, name):
    """An HTTP proxy of the guest's own, inside: what it answers to CONNECT, and the word that came back"""
    def serve(listener):
        client, _ = listener.accept()
        with client:
            client.recv(1000)
            try:
                with connect(name, port) as onward:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    onward.sendall(client.recv(100))
                    client.sendall(onward.recv(100))
            except OSError:
                client.sendall(b"HTTP/1.1 502 No\r\n\r\n")

    with socket.create_server((host, 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with connect(*listener.getsockname()[:2]) as connection:
            connection.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\n\r\n".encode())
            answer = connection.recv(100).decode().split()[1]
            connection.sendall(b"word")
            return [answer, connection.recv(100).decode()]


# ---- packets of a guest that is root inside

def checksum(data):
    words = array.array("H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp4(source_port, target, port, payload):
    header = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0)
    return header + payload


def ipv4(target, protocol, payload, identification=1, offset=0, more=False, options=b""):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload),
                       identification, (0x2000 if more else 0) | offset // 8, 64, protocol, 0,
                       socket.inet_aton(GUEST4), socket.inet_aton(target)) + options
    total = checksum(head)
    return head[:10] + struct.pack("=H", total) + head[12:] + payload


def ipv6(target, next_header, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64) + socket.inet_pton(
        socket.AF_INET6, GUEST6) + socket.inet_pton(socket.AF_INET6, target) + payload


def udp6(final, source_port, port, payload):
    """With the checksum for the final destination, as RFC 8200 8.1 has it"""
    size = 8 + len(payload)
    pseudo = socket.inet_pton(socket.AF_INET6, GUEST6) + socket.inet_pton(socket.AF_INET6, final) + struct.pack(
        "!II", size, 17)
    datagram = struct.pack("!HHHH", source_port, port, size, 0) + payload
    total = checksum(pseudo + datagram) or 0xFFFF
    return datagram[:6] + struct.pack("=H", total) + datagram[8:]


def send_packets(packets, wait=True):
    """Puts packets (hexadecimal) on the device as they are; then waits for standard input's end"""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as device:
        for packet in map(bytes.fromhex, packets):
            kind = ETH_P_IP if packet[0] >> 4 == 4 else ETH_P_IPV6
            device.sendto(packet, ("tun0", kind))
    print("ready", flush=True)
    if wait:
        sys.stdin.read()


def raw_ping(host, word):
    """An echo request with a word in it; what came back, or the error's name"""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(2)
        message = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + word.encode()
        message = message[:2] + struct.pack("=H", checksum(message)) + message[4:]
        try:
            raw.sendto(message, (host, 0))
            while True:
                packet = raw.recv(2000)[20:]
                if packet[0] != 8:
                    return [packet[0], packet[8:].decode(errors="replace")]
        except OSError as error:
            return name_of(error)


def main():
    result = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
