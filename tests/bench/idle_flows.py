"""Runs inside a network: opens idle connections in steps, and at each step measures one busy one.

    idle_flows.py ADDRESS PORT SECONDS COUNT…

Prints one line of JSON: requests a second at each COUNT, how many connections a second were opened at the beginning of
the last step, how many were open in the end, and what stood in the way of more. Stops at a gate (session.py) after the
first step and after the last.
"""
import json
import os
import select
import socket
import subprocess
import sys
import time

from session import GATE

SILENCE = 4  # seconds; a SYN that is lost comes again after 1 and 3
AT_ONCE = 64  # connections being opened; enough to keep every party busy, below every backlog
TIMED = 4000  # connections; with those before, as many as every party can have under a limit of 20,000 descriptors


class Connections:
    """Connected sockets, kept open."""

    def __init__(self, target):
        self.target, self.open, self.pending, self.poll = target, [], {}, select.epoll()
        self.reached = {}  # when there were as many
        self.complaint = ""

    def grow_to(self, count):
        """True when there are that many."""
        while len(self.open) < count and not self.complaint:
            self.start(count)
            events = self.poll.poll(SILENCE)
            if not events:
                self.complaint = f"none was made in {SILENCE} s"
            for descriptor, _ in events:
                self.finish(self.pending.pop(descriptor))
        return len(self.open) >= count

    def start(self, count):
        while len(self.pending) < AT_ONCE and len(self.open) + len(self.pending) < count:
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(self.target)
            self.pending[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLOUT)

    def finish(self, connection):
        self.poll.unregister(connection)
        if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.complaint = os.strerror(error)
            return
        self.open.append(connection)
        self.reached[len(self.open)] = time.monotonic()


def busy_rate(target, seconds):
    command = ["wrk", "-t1", "-c1", f"-d{seconds}", f"http://{target[0]}:{target[1]}/s"]
    output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return float(next(line for line in output.splitlines() if "Requests/sec" in line).split()[1])


def gate():
    print(GATE, flush=True)
    sys.stdin.readline()


def main():
    target, seconds, counts = (sys.argv[1], int(sys.argv[2])), sys.argv[3], [int(count) for count in sys.argv[4:]]
    connections, rates = Connections(target), {}
    for count in counts:
        timed_from, began = len(connections.open), time.monotonic()
        if not connections.grow_to(count):
            break
        rates[count] = busy_rate(target, seconds)
        if count == counts[0]:
            gate()
    gate()
    opened_per_second = TIMED / (connections.reached[timed_from + TIMED] - began)
    print(json.dumps({"rates": rates, "opened_per_second": opened_per_second,
                      "open": len(connections.open), "complaint": connections.complaint}))


main()
