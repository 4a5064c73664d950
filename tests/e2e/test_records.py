"""--log and --pcap: what went through, on record.

    sandbox                     world
    guest.py ──── nsrun ───► 192.0.2.10
                    ├──► log: a JSON line for each flow
                    └──► pcapng file, for tshark
"""
import contextlib
import json
import os
import re
import signal
import subprocess

from support import guest, sandbox
from support.dns import NameServer
from support.servers import Server, count_and_tell, datagram_echo, echo
from support.theme import expect, expect_equal, need, test, until
from support.world import SERVER4, SILENT4

IN_A_WORLD = True
FIELDS = {"time", "flow", "protocol", "asker", "guest", "peer", "name", "dialled", "rule", "verdict",
          "bytes_up", "bytes_down",
          "duration_ms", "end"}
DATAGRAM_FIELDS = {"packets_up", "packets_down"}


def flows(*command, options=()):
    """The flows on record of a command's life."""
    if os.path.exists("log"):
        os.unlink("log")
    sandbox.run(*command, options=["--log", "log", *options])
    return [json.loads(line) for line in open("log")]


def the_flow(peer, *command, options=()):
    found = [flow for flow in flows(*command, options=options) if flow["peer"] == peer]
    expect_equal(len(found), 1, f"flows to {peer}")
    return found[0]


def expect_fields(flow, **expected):
    for name, value in expected.items():
        expect_equal(flow[name], value, name)


@test("each flow is one line of JSON with every field")
def _():
    with Server(echo) as server, datagram_echo() as port:
        command = "; ".join(" ".join([*sandbox.PYTHON, sandbox.GUEST, words]) for words in (
            f"echoed '[\"{SERVER4}\", {server.port}, \"hello\"]'",
            f"echo_datagrams '[\"{SERVER4}\", {port}, [10, 20]]'",
            f"connect_error '[\"{SERVER4}\", 9]'")) + f"; ping -n -c 1 {SERVER4}"
        found = flows("sh", "-c", command)
    expect_equal(sorted(flow["protocol"] for flow in found), ["icmp", "tcp", "tcp", "udp"])
    for flow in found:
        expected = FIELDS | (DATAGRAM_FIELDS if flow["protocol"] != "tcp" else set())
        expect_equal(set(flow) - {"error"}, expected, flow["protocol"])
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", flow["time"]), flow["time"])
    expect_equal(len({flow["flow"] for flow in found}), 4, "different numbers")


@test("a TCP flow's line says who, where and how much")
def _():
    with Server(count_and_tell) as server:
        flow = the_flow(f"{SERVER4}:{server.port}",
                        *sandbox.guest_command("upload", SERVER4, server.port, 123_456))
    answer = len(f"123456 {'x' * 64}")
    expect_fields(flow, protocol="tcp", asker="guest", verdict="allow",
                  dialled=f"tcp/{SERVER4}:{server.port}", bytes_up=123_456,
                  bytes_down=answer, end="closed", rule="default")
    expect(flow["guest"].startswith("10.0.2.100:"), flow["guest"])


@test("a UDP flow's line counts datagrams and bytes")
def _():
    with datagram_echo() as port:
        flow = the_flow(f"{SERVER4}:{port}",
                        *sandbox.guest_command("echo_datagrams", SERVER4, port, [0, 100, 1000]))
    expect_fields(flow, protocol="udp", verdict="allow", bytes_up=1100, bytes_down=1100, packets_up=3,
                  packets_down=3)


@test("a large download is counted to the byte")
def _():
    size = 30 << 20
    with Server(lambda connection: guest.send_stream(connection, size)) as server:
        flow = the_flow(f"{SERVER4}:{server.port}", *sandbox.guest_command("download", SERVER4, server.port))
    expect_fields(flow, bytes_up=0, bytes_down=size, end="closed")


@test("a flow carries the name it was looked up by")
def _():
    with NameServer({("www.example.test", "A"): [SERVER4]}), Server(echo) as server:
        flow = the_flow(f"{SERVER4}:{server.port}",
                        *sandbox.guest_command("echoed", "www.example.test", server.port, "hello"))
    expect_fields(flow, name="www.example.test")


@test("a refused connect is on record with its error, a protected address with its rule")
def _():
    flow = the_flow(f"{SERVER4}:9", *sandbox.guest_command("connect_error", SERVER4, 9))
    expect_fields(flow, verdict="allow", end="failed", bytes_up=0)
    expect("refused" in flow["error"], flow)
    flow = the_flow("169.254.169.254:80", *sandbox.guest_command("connect_error", "169.254.169.254", 80))
    expect_fields(flow, verdict="reject", end="refused", rule="protected-address")


@test("a flow that is open when the sandbox ends is on record")
def _():
    with Server(echo) as server:
        script = (f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3; "
                  "(sleep 1000 &) ; kill -9 $$")
        os.path.exists("log") and os.unlink("log")
        done = sandbox.nsrun("--log", "log", "--", "bash", "-c", script)
        expect_equal(done.returncode, 137)
        found = [json.loads(line) for line in open("log")]
    seen = [(flow["peer"], flow["bytes_up"], flow["bytes_down"]) for flow in found]
    expect_equal(seen, [(f"{SERVER4}:{server.port}", 6, 6)])
    # The dead command's socket says goodbye, if the device is there to take it.
    expect(found[0]["end"] in ("closed", "sandbox_ended"), found[0])


@test("a connect that the guest gave up is on record")
def _():
    flow = the_flow(f"{SILENT4}:80", *sandbox.guest_command("connect_error", SILENT4, 80, 0.2))
    expect_fields(flow, bytes_up=0, bytes_down=0, end="sandbox_ended")


@test("flows that have ended are on record when nsrun is killed")
def _():
    with contextlib.suppress(FileNotFoundError):
        os.unlink("log")
    with Server(echo) as server, sandbox.start("bash", options=["--log", "log"]) as shell:
        for _ in range(20):
            shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&3; read line <&3; exec 3>&-")
        until(lambda: len(open("log").readlines()) == 20, what="20 lines")
        shell.ask(f"exec 3<>/dev/tcp/{SERVER4}/{server.port}")
        shell.signal(signal.SIGKILL)
        expect_equal(shell.status(), -signal.SIGKILL)
    expect_equal({(flow["bytes_up"], flow["end"]) for flow in map(json.loads, open("log"))}, {(6, "closed")})


@test("flows that live when nsrun is told to end are on record with what they moved")
def _():
    for options in ((), ("--workers=2",)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink("log")
        with Server(echo) as server, sandbox.start("bash", options=["--log", "log", *options]) as shell:
            for number in (3, 4, 5):
                shell.ask(f"exec {number}<>/dev/tcp/{SERVER4}/{server.port}; echo hello >&{number}; read line <&{number}")
            shell.ask("trap - TERM")
            shell.signal(signal.SIGTERM)
            expect_equal(shell.status(), 128 + signal.SIGTERM)
        found = [json.loads(line) for line in open("log")]
        expect_equal([(flow["bytes_up"], flow["bytes_down"]) for flow in found], [(6, 6)] * 3)
        expect({flow["end"] for flow in found} <= {"closed", "sandbox_ended", "reset_by_source"}, found)


@test("--summary tells at the end who was reached and who was not, those first")
def _():
    with NameServer({("www.example.test", "A"): [SERVER4]}), Server(echo) as server:
        script = "; ".join(" ".join([*sandbox.PYTHON, sandbox.GUEST, words]) for words in (
            f"echoed '[\"{SERVER4}\", {server.port}, \"hello\"]'",
            f"echoed '[\"{SERVER4}\", {server.port}, \"hello\"]'",
            "connect_error '[\"169.254.169.254\", 80]'",
            f"connect_error '[\"{SERVER4}\", 9]'"))
        done = sandbox.nsrun("--summary", "--quiet", "--", "sh", "-c", script)
    lines = [line.split() for line in done.stderr.splitlines()]
    expect_equal(lines[0], ["nsrun:", "4", "flows,", "1", "refused"])
    expect_equal(lines[2:], [["reject", "1", "0", "0", "tcp/169.254.169.254:80"],
                             ["failed", "1", "0", "0", f"tcp/{SERVER4}:9"],
                             ["allow", "2", "10", "10", f"tcp/{SERVER4}:{server.port}"]])
    expect_equal(sandbox.nsrun("--summary", "--", "true").stderr, "nsrun: 0 flows, 0 refused\n")


@test("--log - writes to standard error, and a log is added to, never overwritten")
def _():
    with open("old-log", "w") as file:
        file.write("{}\n")
    with Server(echo) as server:
        command = sandbox.guest_command("echoed", SERVER4, server.port, "hello")
        done = sandbox.nsrun("--log", "-", "--", *command)
        expect_equal(json.loads(done.stderr)["bytes_up"], 5)
        sandbox.run(*command, options=["--log", "old-log"])
    expect_equal(len(open("old-log").readlines()), 2)


@test("a command that fills the pipe of --log -, and makes it non-blocking, cannot lose lines unsaid")
def _():
    fill = ("import fcntl, os; fcntl.fcntl(2, fcntl.F_SETFL, os.O_NONBLOCK | os.O_WRONLY)\n"
            "try:\n  while os.write(2, b'#' * 4096): pass\nexcept BlockingIOError: pass\n"
            "try:\n  while os.write(2, b'#'): pass\nexcept BlockingIOError: pass\n")
    refused = f"exec 3<>/dev/tcp/{SERVER4}/9"
    with sandbox.start("bash", options=["--log", "-", "--reject", SERVER4]) as shell:
        with open("fill.py", "w") as file:
            file.write(fill)
        shell.ask(" ".join([*sandbox.PYTHON, os.path.abspath("fill.py")]))
        for _ in range(3):
            shell.ask(f"({refused}) 2>/dev/null")
        seen = []

        def has_come():
            shell.ask(f"({refused}) 2>/dev/null")
            seen.append(shell.warnings().rpartition("#")[2])
            return '"lost":' in "".join(seen)

        until(has_come, what="a line that tells of those that were lost")
    lines = [json.loads(line) for line in "".join(seen).splitlines() if line.startswith("{")]
    expect(any(line.get("lost", 0) >= 1 for line in lines), lines)


@test("a command that has thousands of flows refused makes a hundred lines, and one that sums them up")
def _():
    script = ("import errno, socket\n"
              "for _ in range(5000):\n"
              "  try: socket.create_connection(('%s', 9))\n"
              "  except OSError: pass\n" % SERVER4)
    found = flows(*sandbox.PYTHON, "-c", script, options=["--reject", SERVER4])
    expect(len(found) < 2000, len(found))
    expect_equal(sum(1 + flow.get("repeats", 0) for flow in found), 5000)


@test("a log or capture that cannot be written is an error before the command runs")
def _():
    for option in ("--log", "--pcap"):
        done = sandbox.nsrun(option, "no/such/directory", "--", "touch", "ran")
        expect_equal(done.returncode, 125, option)
        expect("no/such/directory" in done.stderr and done.stderr.count("\n") == 1, done.stderr)
        expect(not os.path.exists("ran"), "the command ran")


@test("a capture holds every packet, as tshark reads it, up to 64 KiB with checksum offload or not")
def _():
    need("tshark")
    size = 1 << 20
    with Server(count_and_tell) as server, datagram_echo() as port:
        command = "; ".join(" ".join([*sandbox.PYTHON, sandbox.GUEST, words]) for words in (
            f"upload '[\"{SERVER4}\", {server.port}, {size}]'",
            f"echo_datagrams '[\"{SERVER4}\", {port}, [9000]]'"))
        sandbox.run("sh", "-c", command, options=["--pcap", "capture.pcapng"])
        sent = ["-Y", f"tcp.dstport == {server.port}", "-T", "fields", "-e", "tcp.len"]
    read = lambda *words: subprocess.run(["tshark", "-n", "-r", "capture.pcapng", *words],
                                         capture_output=True,
                                         text=True, check=True).stdout
    expect_equal(sum(int(length) for length in read(*sent).split()), size, "bytes of payload to the server")
    expect_equal(len(read("-Y", f"tcp.flags.syn == 1 && tcp.port == {server.port}").splitlines()), 2, "SYNs")
    expect_equal(len(read("-Y", f"udp.port == {port}").splitlines()), 2, "datagrams")
    expect_equal(read("-Y", "_ws.malformed"), "", "malformed packets")


@test("a capture says the names of addresses, and which a connection was for")
def _():
    need("tshark")
    for options in ((), ("--allow", "www.example.test")):
        with NameServer({("www.example.test", "A"): [SERVER4]}), Server(echo) as server:
            sandbox.run(*sandbox.guest_command("echoed", "www.example.test", server.port, "hello"),
                        options=["--pcap", "names.pcapng", *options])
        read = lambda *words: subprocess.run(["tshark", "-r", "names.pcapng", "-T", "fields", *words],
                                             capture_output=True, text=True, check=True).stdout.split("\n")
        commented = read("-Y", "frame.comment", "-e", "tcp.flags.syn", "-e", "frame.comment")
        expect_equal([line.split() for line in commented if line], [["1", "www.example.test"]], options)
        hosts = read("-N", "n", "-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0", "-e", "ip.dst_host",
                     "-e", "ipv6.dst_host")
        expect_equal(hosts[0].split(), ["www.example.test"], options)
