"""What is measured: figures, and the probes that give them. A probe runs once in one party, and gives some figures."""
import dataclasses
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import time

import processes
from parties import PUBLISHED
from servers import ECHO_PORT, HTTP_PORT
from session import DEFINE_GATE, Failed, last_lines, run

IDLE = (10, 1000, 15000)  # connections; the hard limit of descriptors is often 20,000
GIGABYTE = 1e9


@dataclasses.dataclass(frozen=True)
class Figure:
    unit: str
    meaning: str
    less_is_better: bool = False


FIGURES = {
    "up": Figure("Gbit/s", "TCP from the command, 1 stream"),
    "down": Figure("Gbit/s", "TCP to the command, 1 stream"),
    "up4": Figure("Gbit/s", "TCP from the command, 4 streams"),
    "down4": Figure("Gbit/s", "TCP to the command, 4 streams"),
    "up_cpu": Figure("CPU s/GB", "CPU time of the stack, TCP from the command", True),
    "down_cpu": Figure("CPU s/GB", "CPU time of the stack, TCP to the command", True),
    "rr": Figure("/s", "HTTP requests, 1 connection"),
    "rr_p50": Figure("µs", "HTTP latency, 1 connection, median", True),
    "rr_p90": Figure("µs", "HTTP latency, 1 connection, 90th percentile", True),
    "rr_p99": Figure("µs", "HTTP latency, 1 connection, 99th percentile", True),
    "rr64": Figure("/s", "HTTP requests, 64 connections"),
    "rr64_p99": Figure("µs", "HTTP latency, 64 connections, 99th percentile", True),
    "crr": Figure("/s", "connect, request, close; 4 clients"),
    "udprr": Figure("/s", "UDP round trips, 64 bytes"),
    "udpup": Figure("Gbit/s", "UDP from the command, 1400 bytes, what arrived"),
    "udpdown": Figure("Gbit/s", "UDP to the command, 1400 bytes, what arrived"),
    "rr_idle10": Figure("/s", "HTTP requests beside 10 idle connections"),
    "rr_idle1000": Figure("/s", "HTTP requests beside 1,000 idle connections"),
    "rr_idle15000": Figure("/s", "HTTP requests beside 15,000 idle connections"),
    "open": Figure("/s", "connections opened, from 1,000 to 5,000"),
    "memory": Figure("KiB", "memory of the stack for each idle connection", True),
    "pub_in": Figure("Gbit/s", "published port, TCP to the command"),
    "pub_back": Figure("Gbit/s", "published port, TCP from the command"),
    "start": Figure("/s", "runs of `true`, one after the other"),
    "judge": Figure("µs", "a flow judged under 100,000 names and 10,000 networks", True),
    "load": Figure("ms", "such a policy loaded", True),
}


class Probe:
    """`figures` are what `measure` gives: a dictionary, or Failed."""

    def __init__(self, *figures):
        self.figures = figures

    def measure(self, party, seconds):
        raise NotImplementedError

    def limit(self, seconds):
        """Seconds after which a program has lost its way: iperf3 3.12 spins when its peer vanishes."""
        return seconds * 4 + 6


class Transfer(Probe):
    """iperf3's client inside; `cpu` is the figure for what the stack spends meanwhile."""

    def __init__(self, figure, flags, cpu=None):
        super().__init__(figure, *([cpu] if cpu else []))
        self.flags, self.figure, self.cpu = flags, figure, cpu

    def measure(self, party, seconds):
        readings = []

        def read_cpu(root):
            stack = processes.stack_processes(root, party.programs)
            readings.append(processes.cpu_seconds(stack))

        client = f"timeout -s KILL {self.limit(seconds)} iperf3 -c {party.address} -t {seconds} {self.flags} -J"
        output = run(party.wrap(f"{DEFINE_GATE} gate; {client}; status=$?; gate; exit $status"),
                     self.limit(seconds) + 6, [read_cpu, read_cpu])
        received = received_by_iperf(output)
        figures = {self.figure: received["bits_per_second"] / 1e9}
        if self.cpu and party.programs:
            figures[self.cpu] = (readings[1] - readings[0]) / (received["bytes"] / GIGABYTE)
        return figures


def received_by_iperf(output):
    """What the receiving side counted, of all streams: for UDP, sent is not arrived."""
    try:
        report = json.loads(output)
        if "error" in report:
            raise Failed(f"iperf3: {report['error']}")
        return report["end"]["sum_received"]
    except (ValueError, KeyError) as error:
        raise Failed(f"no report from iperf3 ({error}): {last_lines(output, 2)}") from error


class Http(Probe):
    """wrk inside. Percentiles are wrk's own, of every request."""

    def __init__(self, figure, flags, percentiles=()):
        super().__init__(figure, *(f"{figure}_p{percentile}" for percentile in percentiles))
        self.figure, self.flags, self.percentiles = figure, flags, percentiles

    def measure(self, party, seconds):
        client = f"wrk -t1 -d{seconds} {self.flags} --latency http://{party.address}:{HTTP_PORT}/s"
        output = run(party.wrap(f"timeout -s KILL {self.limit(seconds)} {client}"), self.limit(seconds) + 6)
        for complaint in ("Socket errors", "Non-2xx"):
            if complaint in output:
                raise Failed("wrk: " + next(line.strip() for line in output.splitlines() if complaint in line))
        figures = {self.figure: float(find(r"Requests/sec:\s*([\d.]+)", output)[1])}
        for percentile in self.percentiles:
            found = find(rf"\s{percentile}%\s+([\d.]+)(us|ms|s)", output)
            figures[f"{self.figure}_p{percentile}"] = float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]
        return figures


class UdpRoundTrips(Probe):
    def measure(self, party, seconds):
        client = f"sockperf ping-pong -i {party.address} -p {ECHO_PORT} -t {seconds} -m 64 2>&1"
        output = run(party.wrap(f"timeout -s KILL {self.limit(seconds)} {client}"), self.limit(seconds) + 6)
        one_way = float(find(r"(?:Latency is|avg-lat(?:ency)?=)\s*([\d.]+)", output)[1])  # microseconds
        return {self.figures[0]: 1e6 / (2 * one_way)}


def find(pattern, output):
    found = re.search(pattern, output)
    if not found:
        raise Failed(f"nothing like {pattern} in: {last_lines(output, 2)}")
    return found


class IdleFlows(Probe):
    """One busy connection beside many idle ones; memory is the growth of resident pages between the first step,
    when the stack is warm, and the last."""

    def limit(self, seconds):
        return seconds * 4 * len(IDLE) + 30  # opening 15,000 takes seconds

    def measure(self, party, seconds):
        resident = []

        def read_memory(root):
            resident.append(processes.resident_bytes(processes.stack_processes(root, party.programs)))

        script = pathlib.Path(__file__).with_name("idle_flows.py")
        words = [sys.executable, script, party.address, HTTP_PORT, seconds, *IDLE]
        report = json.loads(run(party.wrap(" ".join(map(str, words))), self.limit(seconds), [read_memory, read_memory]))
        figures = {f"rr_idle{count}": rate for count, rate in report["rates"].items()}
        figures["open"] = report["opened_per_second"]
        if party.programs:
            figures["memory"] = (resident[1] - resident[0]) / (report["open"] - IDLE[0]) / 1024
        if report["complaint"]:
            raise Failed(f"{report['open']} connections are open, then: {report['complaint']}", figures)
        return figures


class Published(Probe):
    """iperf3's server inside, its client outside."""

    def __init__(self, figure, flags):
        super().__init__(figure)
        self.flags = flags

    def measure(self, party, seconds):
        outputs = []

        def be_client(_):
            client = f"iperf3 -c 127.0.0.1 -p {PUBLISHED} -t {seconds} {self.flags} -J"
            outputs.append(run(f"timeout -s KILL {self.limit(seconds)} {client}", self.limit(seconds) + 6))

        if not party.publish and party.programs:
            return {}
        server = (f"iperf3 -s -1 -p {PUBLISHED} >/dev/null & "
                  f"until ss -Hltn 'sport = :{PUBLISHED}' | grep -q .; do sleep 0.02; done; "
                  "gate; kill $! 2>/dev/null; wait")
        run(party.wrap(DEFINE_GATE + server, publish=True), self.limit(seconds) + 12, [be_client])
        return {self.figures[0]: received_by_iperf(outputs[0])["bits_per_second"] / 1e9}


class StartRate(Probe):
    def measure(self, party, seconds):
        argv = party.start_argv()
        if not argv:
            return {}
        count, began = 0, time.monotonic()
        with open(os.devnull, "r+") as nothing, tempfile.TemporaryFile("w+") as errors:
            targets = [nothing.fileno(), nothing.fileno(), errors.fileno()]
            redirected = [(os.POSIX_SPAWN_DUP2, target, number) for number, target in enumerate(targets)]
            while time.monotonic() - began < seconds:
                # The cheapest way there is; Python ignores these signals, which pasta does not expect.
                child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=redirected,
                                        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
                if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
                    errors.seek(0)
                    raise Failed(f"run {count + 1}: status {status}: {last_lines(errors.read(), 3)}")
                count += 1
        return {self.figures[0]: count / (time.monotonic() - began)}


class PolicyTimes(Probe):
    """What `nsrun policy check --time` says of a large policy."""

    def measure(self, party, seconds):
        if not party.programs:
            return {}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as policy:
            policy.write("rules:\n")
            policy.writelines(f"  - allow: host{n}.zone{n % 977}.example.org:443\n" for n in range(100_000))
            policy.writelines(f"  - deny: 10.{n >> 8}.{n & 255}.0/{24 + n % 9}\n" for n in range(10_000))
            policy.flush()
            nsrun = party.start_argv()[0]
            output = run(f"{nsrun} policy check --time {policy.name}", self.limit(seconds))
        found = find(r"loaded in (\d+) ms; a flow is judged in (\d+) ns", output)
        return {"load": float(found[1]), "judge": float(found[2]) / 1000}


UDP = "-u -b 0 -l 1400 -w 2M"  # as fast as it goes; 2 MB of socket buffer

PROBES = {
    "up": Transfer("up", "", "up_cpu"),
    "down": Transfer("down", "-R", "down_cpu"),
    "up4": Transfer("up4", "-P4"),
    "down4": Transfer("down4", "-P4 -R"),
    "rr": Http("rr", "-c1", (50, 90, 99)),
    "rr64": Http("rr64", "-c64", (99,)),
    "crr": Http("crr", "-c4 -H 'Connection: close'"),
    "udprr": UdpRoundTrips("udprr"),
    "udpup": Transfer("udpup", UDP),
    "udpdown": Transfer("udpdown", UDP + " -R"),
    "idle": IdleFlows(*(f"rr_idle{count}" for count in IDLE), "open", "memory"),
    "pub_in": Published("pub_in", ""),
    "pub_back": Published("pub_back", "-R"),
    "start": StartRate("start"),
    "policy": PolicyTimes("judge", "load"),
}
