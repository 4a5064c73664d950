"""What is measured, and the servers it is measured against."""
import json
import os
import re
import socket
import subprocess
import tempfile
import time

HTTP_PORT, ECHO_PORT, IPERF_PORT = 8089, 11111, 5201

NGINX = """user root; worker_processes 1; daemon off; pid {d}/nginx.pid; error_log /dev/null;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {d}/b; proxy_temp_path {d}/p;
  fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  server {{ listen 127.0.0.1:{port} backlog=8192; location = /s {{ return 200 "ok\\n"; }} }} }}
"""


class Servers:
    """iperf3, nginx and sockperf on loopback, for as long as the context lasts."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        config = f"{self.folder.name}/nginx.conf"
        with open(config, "w") as file:
            file.write(NGINX.format(d=self.folder.name, port=HTTP_PORT))
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        commands = [["nginx", "-e", "/dev/null", "-c", config],
                    ["iperf3", "-s", "-B", "127.0.0.1"],
                    ["sockperf", "server", "-i", "127.0.0.1", "-p", str(ECHO_PORT)]]
        os.environ["PATH"] = path
        self.processes = [subprocess.Popen(command, **quiet) for command in commands]
        for port in (HTTP_PORT, IPERF_PORT):
            wait_for_port(port)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait()
        self.folder.cleanup()


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"bench: no server came up on port {port}")


class Metric:
    """One figure. `command(address, seconds)` runs in the party's network; `parse` reads what it printed."""

    def __init__(self, unit, meaning, command, parse):
        self.unit, self.meaning, self.command, self.parse = unit, meaning, command, parse

    def measure(self, party, seconds):
        limit = seconds * 4 + 4
        # iperf3 3.12 spins when its peer vanishes.
        output, _ = party.run(f"timeout -s KILL {limit} {self.command(party.address, seconds)}", limit + 6)
        try:
            return self.parse(output)
        except (ValueError, KeyError, StopIteration, TypeError, AttributeError):
            return None


class StartRate(Metric):
    """How often a second `true` can be run, one after the other."""

    def __init__(self):
        super().__init__("/s", "runs of `true`, one after the other", None, None)

    def measure(self, party, seconds):
        if party.name == "slirp4netns":
            return None  # has no command of its own to time
        count, began = 10, time.monotonic()
        for _ in range(count):
            party.run("true", 10)
        return count / (time.monotonic() - began)


def gbits(output):
    end = json.loads(output)["end"]
    total = end.get("sum_received") or end["sum"]
    return total["bits_per_second"] * (1 - total.get("lost_percent", 0) / 100) / 1e9


def requests(output):
    return float(next(line for line in output.splitlines() if "Requests/sec" in line).split()[1])


def round_trips(output):
    return 1e6 / (2 * float(re.search(r"(?:Latency is|avg-lat(?:ency)?=)\s*([\d.]+)", output)[1]))


def iperf(flags):
    return lambda address, seconds: f"iperf3 -c {address} -t {seconds} {flags} -J"


def wrk(flags):
    return lambda address, seconds: f"wrk -t1 -d{seconds} {flags} http://{address}:{HTTP_PORT}/s"


def sockperf(address, seconds):
    return f"sockperf ping-pong -i {address} -p {ECHO_PORT} -t {seconds} -m 64 2>&1"


ALL = {
    "up": Metric("Gbit/s", "TCP from the command, 1 stream", iperf(""), gbits),
    "down": Metric("Gbit/s", "TCP to the command, 1 stream", iperf("-R"), gbits),
    "up4": Metric("Gbit/s", "TCP from the command, 4 streams", iperf("-P4"), gbits),
    "down4": Metric("Gbit/s", "TCP to the command, 4 streams", iperf("-P4 -R"), gbits),
    "rr": Metric("/s", "HTTP requests, 1 connection", wrk("-c1"), requests),
    "rr64": Metric("/s", "HTTP requests, 64 connections", wrk("-c64"), requests),
    "crr": Metric("/s", "connect, request, close; 4 clients", wrk("-c4 -H 'Connection: close'"), requests),
    "udprr": Metric("/s", "UDP round trips, 64 bytes", sockperf, round_trips),
    "udpup": Metric("Gbit/s", "UDP from the command, 1400 bytes", iperf("-u -b 0 -l 1400 -w 2M"), gbits),
    "udpdown": Metric("Gbit/s", "UDP to the command, 1400 bytes", iperf("-u -b 0 -l 1400 -w 2M -R"), gbits),
    "start": StartRate(),
}
