"""What tests of --accelerate do in a sandbox with its sockets; called as guest.py is.

A socket that was injected lives in another network namespace than one that was just made.
"""
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

SO_NETNS_COOKIE = 71  # asm-generic/socket.h
MSG_FASTOPEN = 0x20000000
libc = ctypes.CDLL(None, use_errno=True)


def name_of(number):
    return errno.errorcode.get(number, str(number))


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def network_of(connection):
    return struct.unpack("Q", connection.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]


def is_injected(connection):
    with socket.socket() as fresh:
        return network_of(connection) != network_of(fresh)


def speaks(connection, word=b"word"):
    """Whether what is sent comes back."""
    connection.setblocking(True)
    connection.settimeout(5)
    connection.sendall(word)
    return connection.recv(100) == word


def connected(host, port):
    connection = socket.socket(family_of(host))
    connection.connect((host, port))
    return connection


def refused_by(call, *arguments):
    """The errno's name that a call ends with, or nothing"""
    try:
        call(*arguments)
        return None
    except OSError as error:
        return name_of(error.errno)


def raw_connect(descriptor, address, length=None):
    """connect(2) as it is, on a pointer or bytes; the errno's name, or nothing"""
    length = len(address) if length is None else length
    return None if libc.connect(descriptor, address, length) == 0 else name_of(ctypes.get_errno())


def raw_bind(descriptor, address, length=None):
    """bind(2), likewise"""
    length = len(address) if length is None else length
    return None if libc.bind(descriptor, address, length) == 0 else name_of(ctypes.get_errno())


def address4(host, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


# ---- as a program meets it

def blocking(host, port):
    """[injected, the peer, whether it speaks]"""
    with connected(host, port) as connection:
        return [is_injected(connection), list(connection.getpeername()[:2]), speaks(connection)]


def non_blocking(host, port):
    """[what connect says, whether it is writable at once, its error then, injected, what it says to another]"""
    with socket.socket(family_of(host)) as connection:
        connection.setblocking(False)
        first = name_of(connection.connect_ex((host, port)))
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        writable = bool(poll.poll(0))
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        still = bool(fcntl.fcntl(connection, fcntl.F_GETFL) & os.O_NONBLOCK)
        again = name_of(connection.connect_ex((host, port)))
        return [first, writable, error, still, is_injected(connection), again, speaks(connection)]


def close_on_exec(host, port):
    """For a descriptor that closes on exec and one that does not: whether it still is so"""
    seen = []
    for wanted in (True, False):
        with socket.socket(family_of(host)) as connection:
            os.set_inheritable(connection.fileno(), not wanted)
            connection.connect((host, port))
            seen.append([is_injected(connection), not os.get_inheritable(connection.fileno()) == wanted])
    return seen


TCP_USER_TIMEOUT, IP_TOS, IP_TTL = 18, 1, 2
OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
           (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), (socket.SOL_SOCKET, socket.SO_PRIORITY, 3),
           (socket.SOL_SOCKET, socket.SO_RCVBUF, 40_000), (socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000),
           (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77),
           (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 13), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
           (socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 12345), (socket.IPPROTO_IP, IP_TOS, 0x10),
           (socket.IPPROTO_IP, IP_TTL, 33)]


def options_of(connection):
    linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8).hex()
    receive = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16).hex()
    return [connection.getsockopt(level, name) for level, name, _ in OPTIONS] + [linger, receive]


def options_kept(host, port, chosen):
    """[injected, the options before, the options after]; with `chosen` all are set to unusual values before"""
    with socket.socket() as connection:
        if chosen:
            for level, name, value in OPTIONS:
                connection.setsockopt(level, name, value)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 7, 500_000))
        before = options_of(connection)
        connection.connect((host, port))
        after = options_of(connection)
        if not chosen:  # the buffers are sized by the kernel, at each end as it likes
            before[4:6] = after[4:6] = []
        return [is_injected(connection), before, after]


def duplicated(host, port):
    """[injected, whether the copy made before the connect speaks]"""
    with socket.socket() as connection, connection.dup() as copy:
        connection.connect((host, port))
        return [is_injected(connection), speaks(copy)]


def forked(host, port):
    """A child connects what its parent made: [the child's was injected, the parent's speaks]"""
    with socket.socket() as connection:
        child = os.fork()
        if child == 0:
            connection.connect((host, port))
            os._exit(is_injected(connection))
        injected = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return [bool(injected), speaks(connection)]


def registered(host, port):
    """In an epoll set before it connects: [injected, whether the set tells, whether it speaks]"""
    with socket.socket() as connection, select.epoll() as epoll:
        connection.setblocking(False)
        epoll.register(connection, select.EPOLLOUT | select.EPOLLET)
        epoll.poll(0)
        connection.connect_ex((host, port))
        return [is_injected(connection), bool(epoll.poll(5)), speaks(connection)]


def bound(host, port):
    """Bound to a port of its own: [injected, whether the port is kept, whether it speaks]"""
    with socket.socket() as connection:
        connection.bind(("", 40_404))
        connection.connect((host, port))
        return [is_injected(connection), connection.getsockname()[1] == 40_404, speaks(connection)]


def threaded(host, port, threads, each):
    """Connects from many threads: [how many were injected, how many speak]"""
    seen = []

    def work():
        for number in range(each):
            with connected(host, port) as connection:
                seen.append((is_injected(connection), speaks(connection, str(number).encode())))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [sum(one[0] for one in seen), sum(one[1] for one in seen)]


def both_mapped(host4, port):
    """An IPv6 socket that connects to an IPv4 address: [its peer, whether it speaks]"""
    with socket.socket(socket.AF_INET6) as connection:
        connection.connect((f"::ffff:{host4}", port))
        return [connection.getpeername()[0], speaks(connection)]


def within(host, port):
    """Between two processes of the sandbox: TCP, and a unix socket [the peer's pid is told rightly]"""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        one.sendall(b"inside")
        tcp = other.recv(100) == b"inside" and not is_injected(one)
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{directory}/socket")
        server.listen(1)
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(f"{directory}/socket")
            other, _ = server.accept()
            pid = struct.unpack("3i", other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return [tcp, pid == os.getpid()]


def slow(host, port):
    """A non-blocking connect to a server that is slow to answer: [the longest wait, the error, whether it
    speaks]"""
    with socket.socket() as connection:
        connection.setblocking(False)
        began = time.monotonic()
        connection.connect_ex((host, port))
        waited = time.monotonic() - began
        print("ready", flush=True)
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        poll.poll(20_000)
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        answered = error == 0 and speaks(connection)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the far side's end
        return [waited, error, answered]


def impatient(host, port):
    """Blocking connects into silence with a limit, then with an alarm: [errno's name, seconds] each"""
    seen = []
    for limit in (True, False):
        with socket.socket() as connection:
            if limit:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 300_000))
            else:
                signal.signal(signal.SIGALRM, lambda *_: None)
                signal.siginterrupt(signal.SIGALRM, True)
                signal.setitimer(signal.ITIMER_REAL, 0.3)
            began = time.monotonic()
            error = raw_connect(connection.fileno(), address4(host, port))
            seen.append([error, time.monotonic() - began])
    return seen


def interrupted(host, port):
    """A blocking connect that signals interrupt and the kernel restarts: [the error, whether it speaks]"""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    print("ready", flush=True)
    with socket.socket() as connection:
        error = raw_connect(connection.fileno(), address4(host, port))
        signal.setitimer(signal.ITIMER_REAL, 0)
        return [error, error is None and speaks(connection)]


def lingering(host, slow_port, port, mute_port):
    """Gives nsrun the last copy of a socket whose close waits for a minute: it lingers, and has something to send that
    nobody takes. [whether a connection through the device speaks then, how many seconds that takes]"""
    through_device = socket.socket()
    through_device.bind(("", 0))
    through_device.connect((host, port))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    waiting = threading.Thread(target=raw_connect, args=(connection.fileno(), address4(host, slow_port)))
    waiting.start()
    while not is_asking(waiting.native_id):
        time.sleep(0.001)
    raw_connect(999, b"")  # asked after the other
    connection.bind(("", 0))
    connection.connect((host, mute_port))
    while select.select([], [connection], [], 1)[1]:
        connection.send(bytes(1 << 20), socket.MSG_DONTWAIT)
    connection.close()
    print("ready", flush=True)
    waiting.join()
    began = time.monotonic()
    spoken = all(speaks(through_device, f"{number}".encode()) for number in range(10))
    return [spoken, time.monotonic() - began]


def is_asking(thread):
    """Whether a call of the thread's waits for nsrun"""
    with open(f"/proc/self/task/{thread}/wchan") as file:
        return "seccomp" in file.read()


def abandoned(silent, count, threads):
    """Non-blocking connects into silence, whose sockets are closed: [how a unix connect ends then, its seconds]"""
    def work():
        for _ in range(count // threads):
            with socket.socket() as connection:
                connection.setblocking(False)
                connection.connect_ex((silent, 80))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as one:
        return [refused_by(one.connect, "\0nobody"), time.monotonic() - began]


def sleeps(process):
    with open(f"/proc/{process}/stat") as file:
        return file.read().rsplit(") ", 1)[1][0] == "S"


def killed_while_connecting(silent, count, host, port):
    """Kills processes that wait for a connect; whether the next one works"""
    children, (reading, writing) = [], os.pipe()
    for _ in range(count):
        child = os.fork()
        if child == 0:
            os.write(writing, b"x")
            connection = socket.socket()
            raw_connect(connection.fileno(), address4(silent, 80))
            os._exit(0)
        children.append(child)
    for child in children:
        os.read(reading, 1)
    while not all(map(sleeps, children)):
        time.sleep(0.01)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with connected(host, port) as connection:
        return speaks(connection)


def misused(host, port):
    """What connect and bind say to nonsense"""
    good = address4(host, port)
    with socket.socket() as connection, open("/dev/null") as file:
        number = connection.fileno()
        return [raw_connect(999, good), raw_connect(file.fileno(), good), raw_connect(number, None, 16),
                raw_connect(number, good, 1), raw_connect(number, good, 10), raw_connect(number, good, -1),
                raw_connect(number, good, 1000), raw_connect(number, ctypes.c_void_p(0xdead0000), 16),
                *misbound()]


def misbound():
    foreign, here = address4("198.51.100.77", 0), address4("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as one, \
            socket.socket(socket.AF_UNIX) as other:
        taken = address4(*server.getsockname())
        number = one.fileno()
        return [raw_bind(999, here), raw_bind(number, None, 16), raw_bind(number, here, 1), raw_bind(number, foreign),
                raw_bind(number, taken), raw_bind(other.fileno(), here), raw_bind(number, here), raw_bind(number, here)]


# ---- as an attacker would

def reconnected(host, port, forbidden, forbidden_port):
    """What an injected socket says to being used for something else"""
    connection = connected(host, port)
    number = connection.fileno()
    target = address4(forbidden, forbidden_port)
    uring = libc.syscall(425, 4, ctypes.create_string_buffer(120))  # io_uring_setup
    uring = None if uring >= 0 else name_of(ctypes.get_errno())
    return {
        "injected": is_injected(connection),
        "disconnect": raw_connect(number, struct.pack("=H", socket.AF_UNSPEC) + bytes(14)),
        "connect": raw_connect(number, target),
        "listen": refused_by(connection.listen, 1),
        "bind": refused_by(connection.bind, ("127.0.0.1", 0)),
        "fast open": refused_by(connection.sendto, b"x", MSG_FASTOPEN, (forbidden, forbidden_port)),
        "fast open, sendmsg": refused_by(connection.sendmsg, [b"x"], [], MSG_FASTOPEN,
                                         (forbidden, forbidden_port)),
        "source route": refused_by(connection.setsockopt, socket.IPPROTO_IP, 4,
                                   b"\x83\x07\x04" + socket.inet_aton(forbidden) + b"\0"),
        "source route 6": refused_by(connection.setsockopt, socket.IPPROTO_IPV6, 57, bytes(8)),
        "another interface": refused_by(connection.setsockopt, socket.SOL_SOCKET, 25, b"lo\0"),
        "another protocol": refused_by(connection.setsockopt, socket.IPPROTO_TCP, 31, b"smc"),
        "io_uring": uring,
        "speaks": speaks(connection),
    }


def bound_after_reset(host, port):
    """An injected socket that its peer has reset: [injected, what it says to bind]"""
    with connected(host, port) as connection:
        injected = is_injected(connection)
        connection.sendall(b"reset me")
        refused_by(connection.recv, 1)
        return [injected, refused_by(connection.bind, ("127.0.0.1", 0))]


def swap_address(host, port, forbidden, forbidden_port, seconds):
    """Connects while another thread changes the address under it; how many connects there were"""
    good, bad = address4(host, port), address4(forbidden, forbidden_port)
    shared = ctypes.create_string_buffer(good, len(good))
    over = threading.Event()

    def swap():
        while not over.is_set():
            ctypes.memmove(shared, bad, len(bad))
            ctypes.memmove(shared, good, len(good))

    swapper = threading.Thread(target=swap)
    swapper.start()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as connection:
            raw_connect(connection.fileno(), shared, 16)
            count += 1
    over.set()
    swapper.join()
    return count


def swap_descriptor(host, port, forbidden, forbidden_port, seconds):
    """Connects a unix socket, as it seems, while another thread puts an injected socket and another address in
    its place: first to disconnect it, then to connect it elsewhere, or to listen on it. [connects, sockets that
    were disconnected, what these then said to connect, listen and bind]"""
    with tempfile.TemporaryDirectory() as directory:
        unix = struct.pack("=H", socket.AF_UNIX) + directory.encode()[:12] + b"\0\0"
        unspecified = struct.pack("=H", socket.AF_UNSPEC) + bytes(14)
        target = address4(forbidden, forbidden_port)
        end = time.monotonic() + seconds
        count = disconnected = 0
        answers = set()
        while time.monotonic() < end:
            injected = connected(host, port)
            decoy = socket.socket(socket.AF_UNIX)
            slot = os.dup(decoy.fileno())
            for evil in (unspecified, target):
                shared = ctypes.create_string_buffer(unix[:16].ljust(16, b"\0"), 16)
                over = threading.Event()

                def swap():
                    while not over.is_set():
                        os.dup2(injected.fileno(), slot)
                        ctypes.memmove(shared, evil, 16)
                        ctypes.memmove(shared, unix, 16)
                        os.dup2(decoy.fileno(), slot)

                swapper = threading.Thread(target=swap)
                swapper.start()
                for _ in range(200):
                    raw_connect(slot, shared, 16)
                    count += 1
                over.set()
                swapper.join()
                try:
                    injected.getpeername()
                except OSError:
                    if evil is unspecified:
                        disconnected += 1
                    answers.add(raw_connect(injected.fileno(), target))
                    answers.add(refused_by(injected.listen, 1))
                    answers.add(refused_by(injected.bind, ("127.0.0.1", 0)))
            for one in (injected, decoy):
                one.close()
            os.close(slot)
        return [count, disconnected, sorted(map(str, answers))]


def main():
    result = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
