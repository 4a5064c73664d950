"""Floods that a hostile guest makes its host process hold something by; called as guest.py is. Standard library
only.

    besieged(echo, port, floods): a connection to an echo server first, then the floods, each a process of its own;
    then the connection goes on all the same. Says what it saw, and holds the floods until standard input ends.
"""
import array
import contextlib
import ctypes
import json
import os
import resource
import select
import socket
import struct
import sys
import time

GATEWAY, NAME_SERVER, ETH_P_IP = "10.0.2.2", "10.0.2.3", 0x0800
QUESTION = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x04slow\x04test\0" + struct.pack("!HH", 1, 1)


# ---- from any account

def _connected(count, host, port, data):
    """Connections that are begun at once; each gets the data when it is there. Those that are refused stay begun."""
    held, waiting = [], select.epoll()
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, port))
        waiting.register(connection, select.EPOLLOUT | select.EPOLLONESHOT)
        held.append(connection)
    by_number = {connection.fileno(): connection for connection in held}
    while ready := waiting.poll(2):  # seconds without any
        for number, _ in ready:
            try:
                by_number[number].send(data)
            except OSError:
                pass
    return held


def name_server_connections(count):
    """TCP connections to the name server, each with the two bytes that announce a message of 64 KiB"""
    return _connected(count, NAME_SERVER, 53, b"\xff\xff")


def questions(count):
    """UDP sockets, each with one question to the name server"""
    held = []
    for _ in range(count):
        held.append(socket.socket(type=socket.SOCK_DGRAM))
        held[-1].connect((NAME_SERVER, 53))
        held[-1].send(QUESTION)
    return held


def pings(count, host):
    """Ping sockets, each with one echo request of 60,000 bytes"""
    held = []
    for _ in range(count):
        held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP))
        held[-1].connect((host, 0))
        try:
            held[-1].send(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + bytes(60_000))
        except OSError:
            pass
    return held


def connections(count, host, port):
    """TCP connections that say nothing"""
    held = []
    for _ in range(count):
        try:
            held.append(socket.create_connection((host, port), 2))
        except OSError:
            pass
    return held


def half_heads(count, host, port):
    """HTTP requests whose heads never end, 60 KB of each"""
    line = b"x-filler: " + b"a" * 1000 + b"\r\n"
    return _connected(count, host, port, f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n".encode() + line * 60)


# ---- from root inside, by packets

def _sum(data):
    words = array.array("H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ipv4(source, target, protocol, payload, identification=0, fragment=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("=H", _sum(head)) + head[12:] + payload


def _tcp(source, target, port, sequence, acknowledged, flags, payload=b""):
    """A packet of a connection to the name server, from an address that no kernel inside has"""
    head = struct.pack("!HHIIBBHHH", port, 53, sequence, acknowledged, 0x50, flags, 65535, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, 20 + len(payload))
    total = _sum(pseudo + head + payload)
    return _ipv4(source, target, 6, head[:16] + struct.pack("=H", total) + head[18:] + payload)


# What answers a SYN or an echo request, and nothing else (classic BPF: linux/filter.h): a flood's own
# acknowledgements would fill the socket.
_ANSWERS = [(0x30, 0, 0, 9), (0x15, 3, 0, 1), (0x15, 0, 3, 6), (0x30, 0, 0, 33), (0x15, 0, 1, 0x12),
            (6, 0, 0, 0xFFFF), (6, 0, 0, 0)]


def _only_answers(packets):
    program = b"".join(struct.pack("=HBBI", *step) for step in _ANSWERS)
    room = ctypes.create_string_buffer(program)
    packets.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(_ANSWERS), ctypes.addressof(room)))  # SO_ATTACH_FILTER


class Device:
    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        _only_answers(self.socket)
        self.socket.bind(("tun0", ETH_P_IP))
        self.socket.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING (linux/if_packet.h)
        self.socket.settimeout(0.5)

    def send(self, packet):
        self.socket.sendto(packet, ("tun0", ETH_P_IP))

    def syn(self, senders):
        for address, port in senders:
            self.send(_tcp(address, NAME_SERVER, port, 1000, 0, 2))

    def syn_acks(self, senders):
        """Sequence numbers of what answers SYNs, by (address, port); fewer where nothing comes any more"""
        answers, wanted = {}, set(senders)
        while len(answers) < len(wanted):
            try:
                packet = self.socket.recv(65536)
            except OSError:
                break
            if packet[9] != 6:
                continue
            port, sequence = struct.unpack("!HI", packet[22:28])
            sender = socket.inet_ntoa(packet[16:20]), port
            if sender in wanted:
                answers[sender] = sequence
        return answers

    def until_read(self, address):
        """What was sent so far has been read: the device would drop what does not fit into its queue."""
        echo = struct.pack("!BBHHH", 8, 0, 0xF7FE, 1, 0)
        self.send(_ipv4(address, GATEWAY, 1, echo))
        with contextlib.suppress(OSError):
            while self.socket.recv(65536)[9] != 1:
                pass


def _senders(count, first=0):
    """Addresses and ports, from a number on: 20,000 of each address"""
    return [(f"10.0.2.{50 + number // 20_000}", 10_000 + number % 20_000) for number in range(first, first + count)]


def unacknowledged(count):
    """SYNs whose answers nobody acknowledges"""
    device, senders = Device(), _senders(count)
    for at in range(0, count, 500):
        device.syn(senders[at:at + 500])
        if not device.syn_acks(senders[at:at + 500]):
            break  # refused from here on
    return device


def out_of_order(count, each, size, first):
    """Connections from the `first` sender on, and then on each `each` segments behind a gap"""
    device, payload, open_ = Device(), bytes(size), {}
    senders = _senders(count, first)
    for at in range(0, count, 50):
        device.syn(senders[at:at + 50])
        open_.update(device.syn_acks(senders[at:at + 50]))
    for (address, port), sequence in open_.items():
        device.send(_tcp(address, NAME_SERVER, port, 1001, sequence + 1, 0x10))
        for number in range(each):
            device.send(_tcp(address, NAME_SERVER, port, 1002 + number * size, sequence + 1, 0x10, payload))
        device.until_read(address)
    return device


# ---- the siege

def _raise_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _in_child(name, arguments):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        _raise_descriptors()
        error = ""
        try:
            held = globals()[name](*arguments)  # noqa: F841: held until the end
        except OSError as failure:
            error = str(failure)
        os.write(writing, (error or "done").encode())
        sys.stdin.buffer.read()
        os._exit(0)
    os.close(writing)
    return reading


def _round_trip(connection):
    began = time.monotonic()
    connection.send(b"word")
    answer = connection.recv(100)
    return time.monotonic() - began if answer == b"word" else None


def besieged(host, port, floods):
    """[what each flood says, seconds of round trips of the connection that was there before: the longest]"""
    with socket.create_connection((host, port), 10) as old:
        old.settimeout(60)
        _round_trip(old)
        waiting = [_in_child(name, arguments) for name, arguments in floods]
        trips, said, ended = [], [None] * len(floods), 0
        for reading in waiting:
            os.set_blocking(reading, False)
        while ended < len(waiting):
            trips.append(_round_trip(old))
            for number, reading in enumerate(waiting):
                try:
                    word = os.read(reading, 1000)
                except BlockingIOError:
                    continue
                if word and said[number] is None:
                    said[number] = word.decode()
                    ended += 1
                elif not word and said[number] is None:
                    said[number] = "killed"
                    ended += 1
            time.sleep(0.02)
        for _ in range(20):
            trips.append(_round_trip(old))
        print(json.dumps([said, max(trips)]), flush=True)
        sys.stdin.buffer.read()


def main():
    globals()[sys.argv[1]](*json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
