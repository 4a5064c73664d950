"""vsock: forwards over it, and nsrun vsock host|peer.

    one machine, booted by qemu                          this machine
    client ─► TCP, nsrun ── AF_VSOCK, CID 1 and 2 ──►    nsrun vsock host ◄─► unix socket ◄─► monitor, in Python
              server ◄── nsrun ◄──────────────────┘      (hvsock://)
"""
import contextlib
import signal
import socket

from support import guest
from support.hybrid_vsock import Monitor, greet
from support.servers import Server, count_and_tell, echo
from support.services import Service, broken_off, failing, forward, free_port
from support.theme import expect, expect_equal, test, until
from support.virtual_machine import Machine
from support.world import SERVER4

IN_A_WORLD = True
HERE = "127.0.0.1"

TUNNEL = """- name: {name}
  handshake-port: {handshake}
  vsock-host-port: {port}
  peer-address: 127.0.0.1
  peer-port: {peer}
  upstream-server-address: {upstream}
"""


def config(*tunnels):
    """Text of a configuration; each (name, the host's port, upstream)."""
    return "tunnel:\n" + "".join(
        TUNNEL.format(name=name, handshake=port + 1000, port=port, peer=port + 2000, upstream=upstream)
        for name, port, upstream in tunnels)


def written(*tunnels):
    with open("config.yaml", "w") as file:
        file.write(config(*tunnels))
    return "config.yaml"


# ---- the machine

_FILES = {"config.yaml": config(("api", 5000, "127.0.0.1:4444"), ("web", 5001, "unix:///run/web.sock")),
          "echo.sh": "exec cat\n", "count.sh": "exec wc -c\n"}


@contextlib.contextmanager
def machine():
    with Machine(_FILES) as running:
        yield running


def begin(running, name, words):
    """Starts nsrun in the machine, until it is ready; its pid is in the file NAME.pid."""
    running.run(f"rm -f {name}.fifo; mkfifo {name}.fifo; nsrun {words} --ready-fd 3 > {name}.log 2>&1 3> {name}.fifo & "
                f"echo $! > {name}.pid; read line < {name}.fifo; test \"$line\" = ready || cat {name}.log")


def serve(running, port, script):
    running.run(f"nc -ll -p {port} -e sh /{script} & while ! nc -w 1 127.0.0.1 {port} < /dev/null > /dev/null; do "
                "usleep 20000; done")


@test("in a machine: TCP to vsock and back, with half-close; a refused upstream closes at once")
def _():
    with machine() as vm:
        serve(vm, 7002, "count.sh")
        begin(vm, "forward", "forward vsock://any:5001=tcp://127.0.0.1:7002 tcp://127.0.0.1:7001=vsock://local:5001 "
                             "vsock://any:5003=tcp://127.0.0.1:9 tcp://127.0.0.1:7003=vsock://1:5003 "
                             "tcp://127.0.0.1:7004=vsock://1:5999")
        expect_equal(vm.run("head -c 3000000 /dev/zero | nc 127.0.0.1 7001").strip(), "3000000")
        for port in (7003, 7004):
            expect_equal(vm.ask(f"nc 127.0.0.1 {port} < /dev/null 2> /dev/null", 5)[0], "", port)
        expect_equal(vm.ask("kill -TERM $(cat forward.pid); wait $(cat forward.pid)")[1], 0)


@test("in a machine: host and peer find each other, carry streams, and come back after either was killed")
def _():
    with machine() as vm:
        serve(vm, 4444, "count.sh")
        begin(vm, "peer", "vsock peer --config-path /config.yaml")
        greeting = "nsrun forward -q tcp://127.0.0.1:7005=vsock://1:6000 & sleep 1; nc 127.0.0.1 7005 < /dev/null"
        expect_equal(vm.run(greeting), "github.com/rancher-sandbox/rancher-desktop-vtunnel")
        vm.ask("echo early | nc 127.0.0.1 7000")  # the host is not there yet: the peer lives on
        begin(vm, "host", "vsock host -config-path /config.yaml --log /flows.log")
        for victim in (None, "peer", "host"):
            if victim:
                vm.run(f"kill -KILL $(cat {victim}.pid); wait $(cat {victim}.pid); true")
                begin(vm, victim, f"vsock {victim} -config-path /config.yaml")
            expect_equal(vm.run("head -c 1000000 /dev/zero | nc 127.0.0.1 7000").strip(), "1000000", victim)
            expect_equal(vm.ask("echo hi | nc 127.0.0.1 7001 2> /dev/null", 5)[0], "", "an upstream that is not there")
        for name in ("host", "peer"):
            expect_equal(vm.ask(f"kill -TERM $(cat {name}.pid); wait $(cat {name}.pid)")[1], 0, vm.ask("cat *.log"))


@test("in a machine: a place that cannot be listened at is an error that says why")
def _():
    with machine() as vm:
        for where, status, word in (("vsock://77:5000", 125, "does not belong to this machine"),
                                    ("vsock://any:6000", 122, "another program listens there")):
            begin(vm, "taken", "forward vsock://any:6000=tcp://127.0.0.1:9")
            output, seen = vm.ask(f"nsrun forward {where}=tcp://127.0.0.1:9 2>&1")
            expect(seen == status and word in output, where, seen, output)
            vm.run("kill -KILL $(cat taken.pid); wait $(cat taken.pid); true")


@test("in a machine: a port in use fails its own tunnel alone, and is the status in the end")
def _():
    with machine() as vm:
        serve(vm, 4444, "count.sh")
        begin(vm, "blocker", "forward vsock://any:6001=tcp://127.0.0.1:9")
        begin(vm, "peer", "vsock peer --config-path /config.yaml")
        expect("tunnel 'web'" in vm.run("cat peer.log"), vm.run("cat peer.log"))
        begin(vm, "host", "vsock host --config-path /config.yaml --cid 1")
        expect_equal(vm.run("head -c 1000 /dev/zero | nc 127.0.0.1 7000").strip(), "1000")
        expect("tunnel 'web'" in vm.run("cat host.log"), vm.run("cat host.log"))
        expect_equal(vm.ask("kill -TERM $(cat peer.pid); wait $(cat peer.pid)")[1], 122)
        expect_equal(vm.ask("kill -TERM $(cat host.pid); wait $(cat host.pid)")[1], 125)


# ---- the hybrid form

@test("hvsock:// is dialled by CONNECT and OK, and what follows is the stream's")
def _():
    def speak(connection):
        connection.sendall(b"first words\n")
        echo(connection)

    port, closed = free_port(), free_port()
    with Monitor("vm.sock", {52: speak}) as monitor, forward(f"tcp://{HERE}:{port}=hvsock://{monitor.path}:52",
                                                             f"tcp://{HERE}:{closed}=hvsock://{monitor.path}:53"):
        with guest.connect(HERE, port) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            expect_equal(client.makefile().read(), "first words\nhello")
        expect_equal(monitor.asked[0], b"CONNECT 52\n")
        expect(broken_off(closed), "a port that nobody listens at looks whole")


@test("hvsock:// listens where the machine's connections to the host arrive")
def _():
    with Server(count_and_tell) as server, Monitor("vm.sock", {}) as monitor, forward(
            f"hvsock://{monitor.path}:5000?mode=0666=tcp://{SERVER4}:{server.port}"):
        with monitor.connect_to_host(5000) as client:
            sent = guest.send_stream(client, 1 << 20)
            expect_equal(client.recv(1000).decode(), f"{1 << 20} {sent}")


def host(path, *words, wait=True, **settings):
    return Service("vsock", "host", "--config-path", path, *words, wait=wait, **settings)


@test("vsock host finds a machine at its monitor's socket, and carries what comes from there")
def _():
    with Server(count_and_tell) as server, Monitor("vm.sock", {6000: greet}) as monitor:
        with host(written(("api", 5000, f"{SERVER4}:{server.port}")), "--hvsock", monitor.path) as running:
            expect_equal(running.said, b"ready\n")
            expect_equal(monitor.asked, [b"CONNECT 6000\n"])
            with monitor.connect_to_host(5000) as client:
                sent = guest.send_stream(client, 1 << 20)
                expect_equal(client.recv(1000).decode(), f"{1 << 20} {sent}")
            running.signal(signal.SIGTERM)
            expect_equal(running.status(), 0)


@test("a tunnel whose machine does not greet is given up after ten seconds; the others go on")
def _():
    def another(connection):
        connection.sendall(b"github.com/rancher-sandbox/rancher-desktop-vtunneX")

    path = written(("api", 5000, f"{SERVER4}:9"), ("web", 5001, f"{SERVER4}:9"), ("odd", 5002, f"{SERVER4}:9"))
    with Monitor("vm.sock", {6000: greet, 6002: another}) as monitor:
        with host(path, "--hvsock", monitor.path) as running:
            expect(5 <= monitor.asked.count(b"CONNECT 6001\n") <= 15, monitor.asked)
            running.signal(signal.SIGTERM)
            status, words = running.ended()
        expect_equal(status, 125)
        for name, tunnel in (("web", 6001), ("odd", 6002)):
            expect(f"tunnel '{name}': no virtual machine greets at vsock port {tunnel}" in words, words)
        expect("'api'" not in words, words)


@test("vsock host looks for a machine that is gone until it is back")
def _():
    with host_found() as (running, path):
        with Monitor("vm.sock", {}) as silent:
            until(lambda: silent.asked.count(b"CONNECT 6000\n") >= 3, 20, "the search")
        with Monitor("vm.sock", {6000: greet}) as back:
            until(lambda: "the virtual machine is back" in running.heard(), 20, "the machine")
            expect(back.asked, path)


@contextlib.contextmanager
def host_found():
    path = written(("api", 5000, f"{SERVER4}:9"))
    with Monitor("vm.sock", {6000: greet}) as monitor:
        running = host(path, "--hvsock", monitor.path)
    with running:
        heard = []
        running.heard = lambda: heard.append(running.warnings()) or "".join(heard)
        yield running, path


@test("a wrong configuration is an error that names file, line and key; wrong words say the form")
def _():
    good = config(("api", 5000, "127.0.0.1:1"))
    for wrong, word in ((good.replace("peer-port", "peer_port"), "config.yaml:6:3: peer_port: there is no such key"),
                        (good.replace("127.0.0.1\n", "localhost\n"), "config.yaml:5:17: peer-address: 'localhost' is not a valid IP"),
                        (good + good.split("\n", 1)[1], "config.yaml:8:9: name: 'api' is that of 'api'")):
        with open("config.yaml", "w") as file:
            file.write(wrong)
        for role in ("host", "peer"):
            status, line = failing("vsock", role, "--config-path", "config.yaml")
            expect(status == 2 and word in line, status, line)
    for words, word in ((["vsock"], "host or peer"), (["vsock", "guest"], "host or peer"), (["vsock", "host"], "--config-path"),
                        (["vsock", "peer", "--config-path", "x", "--cid", "3"], "for the host"),
                        (["vsock", "host", "--config-path", "x", "--hvsock", "x"], "absolute"),
                        (["vsock", "host", "--config-path", "no-such"], "No such file")):
        status, line = failing(*words)
        expect(status == 2 and word in line, words, status, line)
