"""What tests have done in a sandbox; the same functions can be called outside, to compare.

As a program: guest.py FUNCTION '[ARGUMENTS]' prints the result as JSON. Standard library only, and nothing of
the suite: it must start fast, anywhere.
"""
import errno
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

BLOCK = 1 << 20  # bytes of a stream's unit


def name_of(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return "timeout"
    return errno.errorcode.get(error.errno, str(error))


def connect(host, port, seconds=10):
    return socket.create_connection((host, port), seconds)


# ---- what a connect says

def connect_error(host, port, seconds=10):
    """[the errno's name, or nothing; the seconds it took]"""
    began = time.monotonic()
    try:
        connect(host, port, seconds).close()
        seen = None
    except OSError as error:
        seen = name_of(error)
    return [seen, time.monotonic() - began]


def connect_errors(targets, seconds=10):
    return [connect_error(host, port, seconds)[0] for host, port in targets]


# ---- streams

_seed = hashlib.sha256(b"nsrun").digest()


def blocks(size):
    """A stream that is nowhere the same, so that a lost, doubled or displaced part shows in its checksum."""
    body = _seed * (BLOCK // len(_seed))
    for offset in range(0, size, BLOCK):
        block = struct.pack("!Q", offset) + body[8:]
        yield block[:min(BLOCK, size - offset)]


def send_stream(connection, size, finish=True):
    digest = hashlib.sha256()
    for block in blocks(size):
        connection.sendall(block)
        digest.update(block)
    if finish:
        connection.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def receive_stream(connection):
    """[bytes, checksum] up to the end"""
    digest, size, buffer = hashlib.sha256(), 0, bytearray(BLOCK)
    view = memoryview(buffer)
    while got := connection.recv_into(buffer):
        digest.update(view[:got])
        size += got
    return [size, digest.hexdigest()]


def upload(host, port, size):
    with connect(host, port, 60) as connection:
        sent = send_stream(connection, size)
        return [sent, connection.recv(1000).decode()]


def download(host, port):
    with connect(host, port, 60) as connection:
        return receive_stream(connection)


def send_then_receive(host, port, size):
    """Half-closes after `size` bytes; how many come back thereafter"""
    with connect(host, port) as connection:
        send_stream(connection, size)
        return receive_stream(connection)[0]


def receive_then_send(host, port, size):
    """Reads to the far side's end, then sends `size` bytes; how many were read"""
    with connect(host, port) as connection:
        got = receive_stream(connection)[0]
        send_stream(connection, size)
        connection.recv(1)  # the far side's farewell would be lost with a reset otherwise
        return got


def echoed(host, port, text):
    """What comes back of a text"""
    with connect(host, port) as connection:
        connection.sendall(text.encode())
        return connection.recv(1000).decode()


def send_and_leave(host, port, size):
    """Sends a stream and waits for nothing: the kernel has the rest of it"""
    with connect(host, port) as connection:
        return send_stream(connection, size)


def reset_after_a_byte(host, port):
    with connect(host, port) as connection:
        connection.sendall(b"x")
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def read_until_error(host, port):
    with connect(host, port) as connection:
        connection.sendall(b"x")
        try:
            while connection.recv(65536):
                pass
            return None
        except OSError as error:
            return name_of(error)


def read_when_told(host, port):
    """Connects and reads nothing until a line comes on standard input"""
    with connect(host, port, 60) as connection:
        print("ready", flush=True)
        sys.stdin.readline()
        return receive_stream(connection)[0]


def offer(host, port, size):
    """Sends as fast as the far side takes"""
    with connect(host, port, 60) as connection:
        print("ready", flush=True)
        send_stream(connection, size)
        return connection.recv(1000).decode()


def many_connections(host, port, count):
    """Opens `count` connections, all at once; how many brought their own word back"""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    poll, waiting = select.epoll(), {}
    for number in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, port))
        waiting[connection.fileno()] = (connection, struct.pack("!I", number))
        poll.register(connection, select.EPOLLOUT)
    opened, echoed, deadline = 0, 0, time.monotonic() + 60
    while opened < count and time.monotonic() < deadline:
        for descriptor, _ in poll.poll(5):
            connection, word = waiting[descriptor]
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                opened += 1
            poll.unregister(descriptor)
    for connection, word in waiting.values():  # none is closed before all are open
        connection.setblocking(True)
        connection.settimeout(20)
        try:
            connection.sendall(word)
            echoed += connection.recv(4) == word
        except OSError:
            pass
    return [opened, echoed]


def both_ways(host, port, size):
    """Sends a stream and receives one, at the same time; [checksum sent, bytes and checksum received]"""
    with connect(host, port, 60) as connection:
        received = []
        reader = threading.Thread(target=lambda: received.extend(receive_stream(connection)))
        reader.start()
        sent = send_stream(connection, size)
        reader.join()
        return [sent, received]


def downloads(host, port, count):
    """As many streams at once; the set of what came"""
    results = []
    threads = [threading.Thread(target=lambda: results.append(download(host, port))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(map(list, set(map(tuple, results)))) + [len(results)]


def one_after_the_other(host, port, count):
    """Short connections in a row; how many brought their word back. Then waits for standard input's end."""
    echoed_back = 0
    for number in range(count):
        echoed_back += echoed(host, port, str(number)) == str(number)
    print(echoed_back, flush=True)
    sys.stdin.readline()


def greeted(host, port, count, processes):
    """Connections in a row, from several processes at once, each to a server that greets and closes; how many
    were greeted. Then waits for standard input's end."""
    family, share, reading, writing = family_of(host), count // processes, *os.pipe()
    for _ in range(processes):
        if os.fork() == 0:
            seen = 0
            for _ in range(share):
                with socket.socket(family) as connection:
                    connection.connect((host, port))
                    seen += connection.recv(16) == b"hello" and connection.recv(16) == b""
            os.write(writing, struct.pack("!Q", seen))
            os._exit(0)
    print(sum(struct.unpack("!Q", os.read(reading, 8))[0] for _ in range(processes)), flush=True)
    sys.stdin.readline()


def fill_and_leave(port):
    """Serves one client: sends it as much as the kernel takes at once, says how much and by whom, and is gone."""
    with socket.create_server(("", port)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        connection.setblocking(False)
        sent = 0
        try:
            while True:
                sent += connection.send(bytes(65536))
        except BlockingIOError:
            print(sent, os.getpid(), flush=True)


def from_one_port(host, port, count):
    """Connections in a row from the same port, each cut off with a reset; how many brought their word back"""
    echoed_back, own = 0, 40_000
    for number in range(count):
        with socket.socket(family_of(host)) as connection:
            connection.settimeout(5)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.bind(("", own))
            connection.connect((host, port))
            connection.sendall(b"word")
            echoed_back += connection.recv(4) == b"word"
    return echoed_back


def besiege(host, silent_host, port, count):
    """Begins `count` connects into silence, then one to a server: the errno's name and the seconds it took"""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    waiting = []
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((silent_host, 80))
        waiting.append(connection)
    return connect_error(host, port)


# ---- datagrams

_IP_RECVERR, _IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def datagram_socket(host, port):
    connection = socket.socket(family_of(host), socket.SOCK_DGRAM)
    connection.settimeout(5)
    connection.connect((host, port))
    return connection


def echo_datagrams(host, port, sizes):
    """For each size: whether the datagram came back as it was, or the error's name"""
    seen = []
    with datagram_socket(host, port) as connection:
        for size in sizes:
            datagram = next(blocks(size), b"")
            try:
                connection.send(datagram)
                seen.append(connection.recv(70000) == datagram)
            except OSError as error:
                seen.append(name_of(error))
    return seen


def datagram_error(host, port, all_errors=False, seconds=5):
    """What a connected socket is told of a datagram nobody wants; of unreachable networks and hosts it hears
    only if it asks for all errors (ip(7), IP_RECVERR)"""
    with datagram_socket(host, port) as connection:
        if all_errors and family_of(host) == socket.AF_INET6:
            connection.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        elif all_errors:
            connection.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        connection.settimeout(seconds)
        try:
            connection.send(b"anyone?")
            connection.recv(100)
            return None
        except OSError as error:
            return name_of(error)


def time_exceeded(host, port):
    """Sends a datagram with one hop to live: [ICMP type, code, who says so] (ip(7), IP_RECVERR)"""
    six = family_of(host) == socket.AF_INET6
    with datagram_socket(host, port) as connection:
        if six:
            connection.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
        else:
            connection.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        connection.send(b"how far?")
        poll = select.poll()
        poll.register(connection, 0)  # errors are always reported
        if not poll.poll(5000):
            return None
        _, control, _, _ = connection.recvmsg(100, 500, socket.MSG_ERRQUEUE)
        data = control[0][2]
        # struct sock_extended_err, then the offender's socket address
        address = data[16 + 8:16 + 24] if six else data[16 + 4:16 + 8]
        return [data[5], data[6], socket.inet_ntop(family_of(host), address)]


def ask_datagram(host, port, text):
    with datagram_socket(host, port) as connection:
        connection.send(text.encode())
        return connection.recv(2000).decode()


# ---- servers

def _client(peer):
    """A client's address, out of the form in which a socket of both families shows it"""
    return f"{peer[0].removeprefix('::ffff:')}\n".encode()


def _answer(connection, peer):
    with connection:
        connection.sendall(_client(peer))
        while data := connection.recv(65536):
            connection.sendall(data)


def _answer_datagrams(server):
    while True:
        datagram, peer = server.recvfrom(70000)
        server.sendto(_client(peer) + datagram, peer)


def _serve_connections(server):
    while True:
        threading.Thread(target=_answer, args=server.accept(), daemon=True).start()


def serve(host, tcp_ports, udp_ports):
    """Servers that say who they take the client for, and then echo; until standard input ends"""
    family = family_of(host)
    for ports, kind, work in ((tcp_ports, socket.SOCK_STREAM, _serve_connections),
                              (udp_ports, socket.SOCK_DGRAM, _answer_datagrams)):
        for port in ports:
            server = socket.socket(family, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
            server.bind((host, port))
            if kind == socket.SOCK_STREAM:
                server.listen(100)
            threading.Thread(target=work, args=(server,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def ask(host, port, text, source=None):
    """[what the server takes us for, what it echoes]"""
    with socket.create_connection((host, port), 10, source and (source, 0)) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer.decode().split("\n", 1)


# ---- under faults

def round_trips(host, port, count):
    """The seconds that each of so many bytes took to a server that echoes, and back"""
    seen = []
    with connect(host, port, 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.monotonic()
            connection.sendall(b"x")
            connection.recv(1)
            seen.append(time.monotonic() - began)
    return seen


def datagram_round_trips(host, port, count):
    seen = []
    with datagram_socket(host, port) as connection:
        for _ in range(count):
            began = time.monotonic()
            connection.send(b"x")
            connection.recv(100)
            seen.append(time.monotonic() - began)
    return seen


def pieces(host, port, text=""):
    """[seconds since the connection was there, bytes] of each read up to the end, or to the error whose name
    comes last"""
    seen, began, how = [], time.monotonic(), "end"
    try:
        with connect(host, port, 30) as connection:
            began = time.monotonic()
            connection.sendall(text.encode())
            while data := connection.recv(1 << 20):
                seen.append([time.monotonic() - began, len(data)])
    except OSError as error:  # a reset may even come before connect() returns
        how = name_of(error)
    return [*seen, [time.monotonic() - began, how]]


def numbered_datagrams(host, port, count, batch=100, patience=0.2):
    """Sends datagrams with numbers, some at a time; those that come back, in their order"""
    seen = []
    with datagram_socket(host, port) as connection:
        connection.settimeout(patience)
        for first in range(0, count, batch):
            for number in range(first, min(first + batch, count)):
                connection.send(b"%06d" % number)
            try:
                while True:
                    seen.append(connection.recv(100).decode(errors="replace"))
            except TimeoutError:
                pass
    return seen


def queries(server, name, count, kind=1, patience=1):
    """Asks a name server one question so many times, one after the other: [[[code, addresses] of each answer],
    seconds] of each query"""
    seen = []
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with datagram_socket(server, 53) as connection:
        for number in range(count):
            head = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0)
            began = time.monotonic()
            connection.send(head + question + struct.pack("!BHH", 0, kind, 1))
            answers, took = [], None
            connection.settimeout(patience)
            try:
                while True:
                    answer = connection.recv(4096)
                    took = took or time.monotonic() - began
                    connection.settimeout(0.02)  # for a second answer
                    addresses = struct.unpack("!H", answer[6:8])[0]
                    tail = [socket.inet_ntoa(answer[-4:])] if kind == 1 and addresses else []
                    answers.append([answer[3] & 15, tail])
            except TimeoutError:
                seen.append([answers, took])
    return seen


# ---- others

def resolve(name):
    return sorted({entry[4][0] for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})


def await_signal():
    """Says which signal came"""
    wanted = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    print("ready", flush=True)
    return signal.Signals(signal.sigwait(wanted)).name


def main():
    result = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
