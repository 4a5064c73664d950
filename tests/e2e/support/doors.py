"""What tests of closed sandboxes try inside: every way out that is neither network nor unix socket (unix_doors.py).
Called as guest.py is.

Each function says what came of it: an errno's name, nothing where the call succeeded, or what was found.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import sys
import termios

from unix_doors import check, greeting, greetings, libc, outcome, unshared  # beside this program

MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x1000, 0x2000, 0x4000, 0x40000  # linux/mount.h
MNT_DETACH = 2
PTRACE_ATTACH = 16
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
NS_GET_USERNS, NS_GET_PARENT = 0xB701, 0xB702  # linux/nsfs.h
OPEN_TREE, OPEN_TREE_CLONE = 428, 1
ADD_KEY, REQUEST_KEY, KEYCTL, IO_URING_SETUP = 248, 249, 250, 425  # x86-64; the last is everywhere's
X32 = 0x40000000  # in the numbers of x86-64's x32 ABI


# ---- system calls

def families():
    """Which families of sockets can be made at all, each with what the others end with"""
    seen = {}
    for family in range(64):
        said = {outcome(lambda: socket.socket(family, kind).close())
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)}
        seen[family] = None if None in said else sorted(said)
    high = outcome(lambda: check(libc.syscall(41, ctypes.c_ulong(1 << 32 | socket.AF_VSOCK), 1, 0)))
    return [[family for family, said in seen.items() if said is None],
            sorted({word for said in seen.values() if said for word in said}), high]


def _machine_code(code):
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    call = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int] * 4)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    call.memory = memory
    return call


def other_abis():
    """socket(AF_VSOCK) by i386's socket and socketcall and by x32's socket; nothing where one succeeded. -1: this
    kernel has no such ABI."""
    # push rbx; mov eax, edi; mov ebx, esi; xchg ecx, edx; int 0x80; pop rbx; ret
    i386 = _machine_code(bytes.fromhex("5389f889f387d1cd805bc3"))
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, struct.pack("ii", i386(359, socket.AF_VSOCK, socket.SOCK_STREAM, 0), i386(102, 1, 0, 0)))
        os._exit(0)
    os.close(writing)
    said = os.read(reading, 8)
    os.wait()
    numbers = struct.unpack("ii", said) if said else (-errno.ENOSYS,) * 2
    x32 = outcome(lambda: check(libc.syscall(X32 | 41, socket.AF_VSOCK, socket.SOCK_STREAM, 0)))
    return [errno.errorcode.get(-number) for number in numbers] + [x32]


def forbidden_calls():
    def call(number, *arguments):
        return outcome(lambda: check(libc.syscall(number, *arguments)))

    return {"io_uring": call(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
            "add_key": call(ADD_KEY, b"user", b"nsrun-e2e", b"x", 1, -2),
            "request_key": call(REQUEST_KEY, b"user", b"nsrun-e2e", None, -2),
            "keyctl": call(KEYCTL, 0, -4, 0)}  # KEYCTL_GET_KEYRING_ID of the user keyring


def typed(text):
    """Types into the terminal that is the standard input"""
    def type_it(request, argument):
        for character in argument:
            fcntl.ioctl(0, request, bytes([character]))

    return {"TIOCSTI": outcome(type_it, TIOCSTI, text.encode()), "TIOCLINUX": outcome(fcntl.ioctl, 0, TIOCLINUX, b"\2")}


def terminal_used_in_background(use):
    """Gives the terminal to a process group of its own and then changes or reads it, with every attempt to be stopped"""
    terminal = os.open("/dev/tty", os.O_RDWR)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.tcsetpgrp(terminal, os.getpid())
        os.write(theirs, b"x")
        signal.pause()
    os.read(ours, 1)
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTIN, signal.SIGTTOU})
    attributes = termios.tcgetattr(terminal)
    try:
        if use == "changed":
            termios.tcsetattr(terminal, termios.TCSANOW, attributes)
        else:
            os.read(terminal, 1)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
    except termios.error as error:
        return errno.errorcode[error.args[0]]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# ---- processes

def processes():
    """The command lines that /proc shows"""
    lines = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with open(f"/proc/{name}/cmdline", "rb") as file:
                lines.append(file.read().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def aimed_at(pid):
    """Signals, traces and looks at a process by a number it has outside"""
    return {"kill": outcome(os.kill, pid, signal.SIGKILL), "group": outcome(os.killpg, pid, signal.SIGKILL),
            "ptrace": outcome(lambda: check(libc.ptrace(PTRACE_ATTACH, pid, None, None))),
            "pidfd": outcome(os.pidfd_open, pid), "proc": outcome(os.listdir, f"/proc/{pid}/fd")}


def agent_looked_into():
    seen = {name: outcome(lambda: open(f"/proc/1/{name}", "rb").read(1))
            for name in ("mem", "environ", "maps", "auxv", "fdinfo/0")}
    seen |= {name: outcome(os.listdir, f"/proc/1/{name}") for name in ("fd", "root", "cwd", "map_files")}
    seen["ptrace"] = outcome(lambda: check(libc.ptrace(PTRACE_ATTACH, 1, None, None)))
    seen["pidfd_getfd"] = outcome(lambda: check(libc.syscall(438, os.pidfd_open(1), 0, 0)))
    seen["kill"] = os.kill(1, signal.SIGKILL)
    return seen


def shared_memory(key, name):
    """System V and POSIX shared memory, and message queues, that were made outside"""
    return {"shm": outcome(lambda: check(libc.shmget(key, 0, 0))), "msg": outcome(lambda: check(libc.msgget(key, 0))),
            "posix": outcome(os.stat, "/dev/shm/" + name)}


# ---- namespaces and mounts

def _mount(source, target, kind, flags, data=None):
    encode = lambda text: text and text.encode()
    check(libc.mount(encode(source), encode(target), encode(kind), flags, encode(data)))


def _lift_cover(path, scratch):
    """Everything that might take away, move or look under a cover: what succeeded, and where the path is now"""
    parent, name = os.path.split(path)
    elsewhere = {where: os.path.join(scratch, where) for where in ("moved", "bound", "all", "copy", "work", "layer")}
    for directory in elsewhere.values():
        os.makedirs(directory, exist_ok=True)

    def copy_tree():
        check(libc.syscall(OPEN_TREE, -100, parent.encode(), OPEN_TREE_CLONE))

    attempts = {
        "umount": lambda: check(libc.umount2(path.encode(), 0)),
        "umount -l": lambda: check(libc.umount2(path.encode(), MNT_DETACH)),
        "umount parent": lambda: check(libc.umount2(parent.encode(), MNT_DETACH)),
        "move": lambda: _mount(path, elsewhere["moved"], None, MS_MOVE),
        "move parent": lambda: _mount(parent, elsewhere["moved"], None, MS_MOVE),
        "bind parent": lambda: _mount(parent, elsewhere["bound"], None, MS_BIND),
        "bind /": lambda: _mount("/", elsewhere["bound"], None, MS_BIND),
        "open_tree": copy_tree,
        "overlay": lambda: _mount("overlay", elsewhere["layer"], "overlay", 0, f"lowerdir={parent}:{scratch}"),
        "unlink": lambda: os.unlink(path),
        "rename": lambda: os.rename(path, path + ".away"),
        "link": lambda: os.link(path, path + ".link"),
    }
    done = [what for what, attempt in attempts.items() if outcome(attempt) is None]
    _mount("/", elsewhere["all"], None, MS_BIND | MS_REC)  # allowed; the covers come along
    if outcome(lambda: check(libc.umount2((elsewhere["all"] + path).encode(), MNT_DETACH))) is None:
        done.append("umount of a copy")
    return done, [path] + [f"{where}/{name}" for where in elsewhere.values()] + [elsewhere["all"] + path]


def _root_moved(path, scratch):
    """Makes a copy of all mounts the root, and lets the old ones go"""
    root = os.path.join(scratch, "root")
    os.makedirs(root, exist_ok=True)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("/", root, None, MS_BIND | MS_REC)
    os.chdir(root)
    check(libc.syscall(155, b".", b"."))  # pivot_root(2), "pivot_root(".", ".")"
    check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    return outcome(lambda: check(libc.umount2(path.encode(), MNT_DETACH)))


def uncovered(path, below, scratch, further):
    """[what could be done to the cover at a path, what a server below it says, the same after a change of root]"""
    if further:
        unshared()
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    done, paths = _lift_cover(path, scratch)
    said = sorted(set(greetings([lead + below for lead in paths])))
    return [done, said, _root_moved(path, scratch), greeting(path + below)]


def other_namespaces():
    """Joining the agent's namespaces, its parents', and those that own ours"""
    seen = {}
    for name in ("user", "mnt", "pid", "net", "ipc"):
        seen[name] = outcome(os.open, f"/proc/1/ns/{name}", os.O_RDONLY)
        own = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
        if name in ("user", "pid"):
            seen[name + "'s parent"] = outcome(fcntl.ioctl, own, NS_GET_PARENT)
        if name == "pid":
            seen["pid's owner"] = outcome(fcntl.ioctl, own, NS_GET_USERNS)
    return seen


def main():
    result = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
