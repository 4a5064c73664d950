"""nsrun wake with a real Podman, by the Docker API it serves.

    client ──► nsrun wake ──► 127.0.0.1:PORT      busybox httpd in a container that runs only now and then
                   ╎
                   └╌╌ unix socket ╌╌► podman system service
"""
import http.client
import json
import os
import re
import time

from support.podman import Podman
from support.services import Log, Service, free_port
from support.theme import Skip, expect, expect_equal, test, until

HERE = "127.0.0.1"
IN_A_WORLD = True
LABELS = {"proxytainer.group": "mygroup"}


def wake(podman, inner, *options):
    """As proxytainer is called: [nsrun, the port to connect to]"""
    port = free_port()
    return Service("wake", "--port", str(port), "--host", f"localhost:{inner}", "--group", "mygroup", "--docker",
                   f"unix://{podman.socket}", *options), port


def page(port):
    connection = http.client.HTTPConnection(HERE, port, timeout=30)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


@test("a container sleeps until somebody asks, and again when nobody has for a while")
def _():
    inner = free_port()
    with Podman() as podman:
        podman.create_web("web", inner, Labels=LABELS)
        podman.create_web("beside", free_port(), Labels={"nsrun.group": "mygroup"})
        podman.create_web("other", free_port(), Labels={"proxytainer.group": "another"})
        running, port = wake(podman, inner, "--idle", "2")
        with running:
            log = Log(running)
            expect_equal(podman.state("web"), "created")
            began = time.monotonic()
            expect_equal(page(port), "from a container")
            woken = time.monotonic() - began
            expect_equal([podman.state(name) for name in ("web", "beside", "other")], ["running", "running", "created"])
            began = time.monotonic()
            page(port)
            awake = time.monotonic() - began
            log.until("Running => Stopping")
            asleep = time.monotonic() - began
            log.until("Stopping => Idle", 30)
            until(lambda: {podman.state(name) for name in ("web", "beside")} == {"exited"}, 10, "their end")
            expect_equal(page(port), "from a container")
            expect(2 <= asleep < 3.5, asleep)
    return f"the first request took {woken:.2f} s, one while it runs {awake * 1e3:.1f} ms; put to sleep after {asleep:.2f} s"


@test("what others stop is seen by its event, and what is made anew under the label is found")
def _():
    inner = free_port()
    with Podman() as podman:
        podman.create_web("web", inner, Labels=LABELS)
        running, port = wake(podman, inner)
        with running:
            log = Log(running)
            page(port)
            podman.stop("web")
            log.until("Running => Idle", 30)
            expect_equal(page(port), "from a container")
            podman.remove("web")
            until(lambda: log.read().count("Running => Idle") == 2, 30, "the second end")
            podman.create_web("web2", inner, Labels=LABELS)
            expect_equal(page(port), "from a container")


@test("a health check that never answers is waited for, but with --no-health")
def _():
    # Podman's health checks are timers of systemd, which is not here: that one is "starting" for ever.
    check = {"Test": ["CMD", "/bin/busybox", "true"], "Interval": 1_000_000_000}
    inner = free_port()
    with Podman() as podman:
        podman.create_web("web", inner, Labels=LABELS, Healthcheck=check)
        running, port = wake(podman, inner, "--start-timeout", "2s")
        with running:
            try:
                expect_equal(page(port), "turned away")
            except (http.client.RemoteDisconnected, ConnectionResetError):
                pass
            Log(running).until("not ready within 2000 ms")
        podman.stop("web")
        running, port = wake(podman, inner, "--no-health")
        with running:
            expect_equal(page(port), "from a container")


@test("the compose file of the examples: nsrun in a container wakes another")
def _():
    if not os.path.exists(os.environ["NSRUN_STATIC"]):
        raise Skip("there is no static nsrun here")
    with open(f"{os.environ['NSRUN_EXAMPLES']}/wake/compose.yaml") as file:
        text = file.read()
    waking, serving = (json.loads(words) for words in re.findall(r"command: (\[.*\])", text))
    labels = json.loads(re.search(r"labels: ({.*})", text)[1])
    # One network here for all, so that its ports are others.
    port, inner = free_port(), free_port()
    waking = [{"5001": str(port), "web:5000": f"localhost:{inner}"}.get(word, word) for word in waking]
    serving = ["/bin/busybox", *({"5000": f"127.0.0.1:{inner}", "/etc": "/www"}.get(word, word) for word in serving)]
    with Podman() as podman:
        podman.add_image("localhost/nsrun:latest", {"nsrun": os.environ["NSRUN_STATIC"]})
        podman.create("web", "localhost/busybox:latest", serving, Labels=labels)
        podman.create("waker", "localhost/nsrun:latest", ["/nsrun", *waking],
                      binds=[f"{podman.socket}:/var/run/docker.sock"])
        podman.start("waker")
        until(lambda: has_listener(port), 10, "the waker")
        expect_equal(podman.state("web"), "created")
        expect_equal(page(port), "from a container")
        expect_equal(podman.state("web"), "running")


def has_listener(port):
    """Without connecting, for that would wake it."""
    tables = ""
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}") as table:
            tables += table.read()
    return re.search(rf":{port:04X} 0+:0000 0A", tables)
