"""What tests of closed sandboxes do with unix sockets; called as guest.py is.

Each function says what came of it: an errno's name, nothing where the call succeeded, or what was found.
"""
import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x20000, 0x40000000  # linux/sched.h


def outcome(call, *arguments):
    try:
        call(*arguments)
        return None
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def check(result):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def greeting(path, kind=socket.SOCK_STREAM, seconds=10):
    """What the server at a path ("@" for an abstract name) says first, or the errno's name"""
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, kind) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(address)
            return connection.recv(100).decode()
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


def greetings(paths):
    return [greeting(path) for path in paths]


def inherited_ways(directory, name, descriptor, abstract):
    """By way of a directory and a socket that were inherited"""
    with socket.socket(fileno=descriptor) as inherited:
        return [greeting(f"/proc/self/fd/{directory}/{name}"), outcome(inherited.connect, "\0" + abstract[1:])]


def greetings_later():
    """For each line of standard input, a JSON list of paths: their greetings, on a line"""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(greetings(json.loads(line))), flush=True)


def all_names_of(directory, name):
    """Ways to name a file; some change this process's working directory"""
    descriptor = os.open(directory, os.O_RDONLY)
    os.symlink(f"{directory}/{name}", f"{directory}/{name}.link")
    os.chdir(directory)
    return [f"{directory}/{name}", name, f"./{name}", f"../{os.path.basename(directory)}/{name}", f"{name}.link",
            f"/proc/self/cwd/{name}", f"/proc/thread-self/cwd/{name}", f"/proc/self/fd/{descriptor}/{name}",
            f"/dev/fd/{descriptor}/{name}", f"/proc/{os.getpid()}/root{directory}/{name}"]


class Inside:
    """A server on a unix socket in the sandbox; greets with a word and the ids of who asks"""

    def __init__(self, path, backlog=8):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(backlog)

    def greet(self):
        connection, _ = self.socket.accept()
        with connection:
            _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            connection.send(f"inside {uid} {gid}".encode())

    def keep_greeting(self):
        def work():
            while True:
                with contextlib.suppress(OSError):  # who asked may be gone
                    self.greet()

        threading.Thread(target=work, daemon=True).start()
        return self


def unshared(more=0):
    """Into user and mount namespaces of one's own, as their root"""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | more))
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open("/proc/self/" + path, "w") as file:
            file.write(text)


def named_inside(root):
    """What a server inside is told to be asked by: by every name, from a chroot, from further namespaces"""
    directory = os.path.realpath("inside")
    os.makedirs(directory)
    Inside(directory + "/socket").keep_greeting()
    seen = set(greetings(all_names_of(directory, "socket")))

    def elsewhere(enter):
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                enter()
                os.write(writing, greeting({in_chroot: "/socket", as_other: "socket"}.get(enter, directory + "/socket"))
                         .encode())
            finally:
                os._exit(0)
        os.wait()
        return os.read(reading, 100).decode()

    def in_chroot():
        os.chroot(directory)

    def as_other():
        os.chmod(directory + "/socket", 0o777)
        os.setgroups([7])
        os.setresgid(6, 6, 6)
        os.setresuid(5, 5, 5)

    result = {"names": sorted(seen), "unshared": elsewhere(unshared),
              "network": elsewhere(lambda: unshared(CLONE_NEWNET))}
    if root:
        result |= {"chroot": elsewhere(in_chroot)}
    if root == "auto":
        result |= {"other": elsewhere(as_other)}
    return result


def _named(name):
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{process}/comm") as file:
            found += [process] if file.read().strip() == name else []
    return found


def waiting_for_room():
    """A queue that is full: [what a non-blocking connect says, what a blocking one hears once there is room]"""
    server = Inside("full", 0)
    first = socket.socket(socket.AF_UNIX)
    first.connect("full")
    with socket.socket(socket.AF_UNIX) as other:
        other.setblocking(False)
        said = outcome(other.connect, "full")
    heard = []
    waiting = threading.Thread(target=lambda: heard.append(greeting("full", seconds=None)))
    waiting.start()
    while said == "EAGAIN" and len(_named("nsrun")) < 2:  # the agent, and its child that connects
        os.sched_yield()
    server.greet()
    server.greet()
    waiting.join()
    return [said, heard[0].split()[0]]


def other_sockets(host):
    """Connecting sockets of other kinds: UDP, netlink to the kernel and to another, abstract"""
    def connect(family, kind, address):
        with socket.socket(family, kind) as one:
            one.connect(address)

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as other:
        other.bind((0, 0))
        return {"udp": outcome(connect, socket.AF_INET, socket.SOCK_DGRAM, (host, 53)),
                "disconnect": outcome(_disconnect, host),
                "kernel": outcome(connect, socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
                "other": outcome(connect, socket.AF_NETLINK, socket.SOCK_RAW, other.getsockname()),
                "nothing": outcome(lambda: check(libc.connect(0, b"", 0))),
                "bad address": outcome(lambda: check(libc.connect(other.fileno(), ctypes.c_void_p(1), 16)))}


def _disconnect(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((host, 53))
        check(libc.connect(one.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16))
        if outcome(one.getpeername) != "ENOTCONN":
            raise OSError(errno.EISCONN, "still connected")


def _unix_address(path):
    return struct.pack("H", socket.AF_UNIX) + path.encode().ljust(108, b"\0")


def _for(seconds, act):
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        act()
        count += 1
    return count


def swapped_address(inside, outside, seconds):
    """Connects while another thread writes one path over the other; how often it was connected"""
    Inside(inside).keep_greeting()
    addresses = [_unix_address(inside), _unix_address(outside)]
    memory, over, connected = ctypes.create_string_buffer(110), threading.Event(), []

    def swap():
        while not over.is_set():
            for address in addresses:
                ctypes.memmove(memory, address, 110)

    def attempt():
        with socket.socket(socket.AF_UNIX) as one:
            connected.append(libc.connect(one.fileno(), memory, 110) == 0)

    threading.Thread(target=swap).start()
    _for(seconds, attempt)
    over.set()
    return sum(connected)


def swapped_descriptor(outside, seconds):
    """Connects a UDP socket, and a unix socket to one inside, while another thread puts a unix socket in their place
    and the path outside in the address's; how often something was connected"""
    over, memory = threading.Event(), ctypes.create_string_buffer(_unix_address(outside), 110)
    number, connected = os.dup(0), []
    internet = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 9) + socket.inet_aton("127.0.0.1") + bytes(102)

    def swap():
        while not over.is_set():
            for family, kind, address in ((socket.AF_INET, socket.SOCK_DGRAM, internet),
                                          (socket.AF_UNIX, socket.SOCK_STREAM, _unix_address(outside))):
                with socket.socket(family, kind) as one:
                    os.dup2(one.fileno(), number)
                    ctypes.memmove(memory, address, 110)

    threading.Thread(target=swap).start()
    _for(seconds, lambda: connected.append(libc.connect(number, memory, 110) == 0))
    over.set()
    return sum(connected)


def swapped_file(outside, seconds):
    """Connects to a name while another thread exchanges the files behind it; how often it was connected"""
    rename_exchange, over = 2, threading.Event()
    Inside("flips").keep_greeting()

    def swap():
        while not over.is_set():
            libc.renameat2(-100, b"flips", -100, outside.encode(), rename_exchange)

    connected = []
    threading.Thread(target=swap).start()
    _for(seconds, lambda: connected.append(greeting("flips").startswith("inside")))
    over.set()
    return sum(connected)


def killing_the_broker(seconds):
    """Connects while everything that may be killed is; whether every connect came to an end"""
    Inside("kept").keep_greeting()
    over = threading.Event()

    def kill():
        while not over.is_set():
            with contextlib.suppress(OSError):
                os.kill(-1, signal.SIGKILL)  # all but this process and the agent

    threading.Thread(target=kill).start()
    seen = set()
    count = _for(seconds, lambda: seen.add(greeting("kept").split()[0]))
    over.set()
    return [count, sorted(seen)]


def taken_descriptor(path):
    """What is read from a descriptor that the server at a path hands over"""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        _, descriptors, _, _ = socket.recv_fds(connection, 10, 1)
        return os.read(descriptors[0], 100).decode()


def datagrams(path):
    """Sending to a path from whatever can send to one"""
    def pair(kind):
        ends = socket.socketpair(socket.AF_UNIX, kind)
        ends[0].sendto(b"out", path)

    def alone(kind):
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.sendto(b"out", path)

    flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return {"alone": outcome(alone, socket.SOCK_DGRAM), "raw": outcome(alone, socket.SOCK_RAW),
            "flags": outcome(alone, flags), "pair": outcome(pair, socket.SOCK_DGRAM),
            "raw pair": outcome(pair, socket.SOCK_RAW), "stream pair": outcome(socket.socketpair)}


def server_inside():
    """Whether unix sockets work among the sandbox's own"""
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        for address in ("inside.sock", "\0inside"):
            with socket.socket(socket.AF_UNIX, kind) as server, socket.socket(socket.AF_UNIX, kind) as client:
                server.bind(address)
                server.listen()
                client.connect(address)
                client.send(b"word")
                if server.accept()[0].recv(10) != b"word":
                    return False
        os.unlink("inside.sock")
    return True


def main():
    result = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
