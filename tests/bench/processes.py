"""What the processes of a network stack have used: CPU time and memory.

Counted is the CPU time, user and system, of every thread of the stack's processes, as /proc/PID/task/TID/schedstat has
it (nanoseconds). That holds the kernel's work on the stack's account: system calls, copies, and the soft interrupts that
its writes raise, which run in its context (the packets that it sends on loopback, and those that it puts into the
device), unless the kernel keeps those apart (CONFIG_IRQ_TIME_ACCOUNTING). Not counted are the client and the server,
which do the same in every party, and kernel threads (ksoftirqd takes over soft interrupts only under overload).
"""
import os
import pathlib


def read_stat(pid):
    """Of a process: its name, and the fields that follow it in /proc/PID/stat, from the state on."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()


def stack_processes(root, programs):
    """Those below `root` that are called as one of `programs`, or that and a suffix (pasta.avx2)."""
    stats = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stats[int(entry)] = read_stat(entry)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    family = {root}
    for pid in sorted(stats):  # a parent's id is the smaller, unless ids have wrapped: then until nothing is added
        if int(stats[pid][1][1]) in family:
            family.add(pid)
    while more := {pid for pid in stats if int(stats[pid][1][1]) in family} - family:
        family |= more
    return [pid for pid in family if pid in stats and stats[pid][0].startswith(programs)]


def cpu_seconds(pids):
    return sum(int(path.read_text().split()[0]) / 1e9
               for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


def resident_bytes(pids):
    return sum(int(line.split()[1]) * 1024 for pid in pids
               for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
