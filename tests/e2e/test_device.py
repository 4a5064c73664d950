"""The two devices: a TUN device, and where there is none a veth pair. What a command sees is the same.

    sandbox                                world
    guest.py ── tun0 ══ packet socket ── nsrun ──► 192.0.2.10, 2001:db8::10
                veth pair                 ◄────── published port
"""
import os

from support import guest, sandbox
from support.servers import Server, count_and_tell, datagram_echo
from support.theme import expect, expect_equal, need, test, until
from support.world import CLIENT4, SERVER4, SERVER6

IN_A_WORLD = True
VETH = ["--device=veth"]
MIB = 1 << 20
NO_TUN = ["unshare", "--mount", "sh", "-c", 'mkdir -p empty && mount --bind empty /dev/net && exec "$@"', "sh"]
# The second namespace that a veth pair needs is one too many.
NO_VETH = ["unshare", "--user", "--map-root-user", "sh", "-c",
           'echo 1 >/proc/sys/user/max_net_namespaces && exec "$@"', "sh"]


@test("100 MiB arrive whole over a veth pair, up and down, over IPv4 and IPv6")
def _():
    size = 100 * MIB
    for host in (SERVER4, SERVER6):
        with Server(count_and_tell, host) as server:
            sent, answer = sandbox.inside("upload", host, server.port, size, options=VETH)
            expect_equal(answer, f"{size} {sent}", host)
        with Server(lambda connection: guest.send_stream(connection, size), host) as server:
            expect_equal(sandbox.inside("download", host, server.port, options=VETH), [size, server.result()],
                         host)


@test("a transfer over a veth pair arrives whole at every MTU, both ways")
def _():
    size = 20 * MIB
    for mtu, *more in (("576", "--no-ipv6"), ("1280",), ("1500",), ("9000",)):
        options = [*VETH, "--mtu", mtu, *more]
        with Server(count_and_tell) as server:
            sent, answer = sandbox.inside("upload", server.host, server.port, size, options=options)
            expect_equal(answer, f"{size} {sent}", options)
        with Server(lambda connection: guest.send_stream(connection, size)) as server:
            expect_equal(sandbox.inside("download", server.host, server.port, options=options),
                         [size, server.result()], options)


@test("datagrams of every size are echoed over a veth pair, in fragments where the MTU is small")
def _():
    sizes = [0, 1, 1400, 9000, 65507]
    for host, mtu, *more in ((SERVER4, "65520"), (SERVER6, "65520"), (SERVER4, "1500"), (SERVER6, "1280"),
                             (SERVER4, "576", "--no-ipv6")):
        options = [*VETH, "--mtu", mtu, *more]
        with datagram_echo(host) as port:
            seen = sandbox.inside("echo_datagrams", host, port, sizes, options=options)
        expect_equal(seen, [True] * len(sizes), f"{host}, MTU {mtu}")


@test("curl and ping work over a veth pair, and a hop limit of one ends at the gateway")
def _():
    need("curl", "ping")
    for host in (SERVER4, SERVER6):
        for size, mtu in (("56", "65520"), ("20000", "1500")):
            sandbox.run("ping", "-n", "-c", "1", "-s", size, "-W", "2", host, options=[*VETH, "--mtu", mtu])
    expect_equal(sandbox.inside("time_exceeded", SERVER4, 33434, options=VETH), [11, 0, "10.0.2.2"])
    expect_equal(sandbox.inside("time_exceeded", SERVER6, 33434, options=VETH), [3, 0, "fd00::2"])
    with Server(lambda connection: (connection.recv(1000),
                                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello"))) as server:
        expect_equal(sandbox.run("curl", "-sS", f"http://{server.host}:{server.port}/", options=VETH), "hello")


@test("published ports lead in over a veth pair, TCP and UDP, and the client keeps its address")
def _():
    options = [*VETH, "-p", "8080:80", "-p", "5353:53/udp"]
    with sandbox.start_guest("serve", "::", [80], [53], options=options):
        for host in ("127.0.0.1", "::1", SERVER4, SERVER6):
            expect_equal(guest.ask(host, 8080, "hello")[1], "hello", host)
            expect(guest.ask_datagram(host, 5353, "hello").endswith("\nhello"), host)
        expect_equal(guest.ask(SERVER4, 8080, "hello", CLIENT4)[0], CLIENT4, "the client, as the server sees it")


@test("a veth pair goes with --map-root, --pid and --pcap, and shows one device inside")
def _():
    for option in ("--map-root", "--pid"):
        links = sandbox.run("ip", "-o", "link", options=[*VETH, option])
        expect_equal([line.split(": ")[1].split("@")[0] for line in links.splitlines()], ["lo", "tun0"], option)
        expect(",UP,LOWER_UP" in links and "state UP" in links, links)
    with datagram_echo() as port:
        sandbox.inside("echo_datagrams", SERVER4, port, [1000], options=[*VETH, "--pcap", "trace.pcapng"])
    expect(os.path.getsize("trace.pcapng") > 2000, "the capture is empty")


@test("without /dev/net/tun a veth pair takes its place, which is said once, unless --quiet")
def _():
    for options, lines in ((["--device=auto"], 1), (["--device=auto", "-q"], 0)):
        done = sandbox.nsrun(*options, "--", "ping", "-n", "-c", "1", "-W", "2", "10.0.2.2", prefix=NO_TUN)
        expect("1 received" in done.stdout, done.stdout, done.stderr)
        expect_equal(done.stderr.count("\n"), lines, done.stderr)
        expect(not lines or ("/dev/net/tun" in done.stderr and "veth" in done.stderr), done.stderr)


@test("where neither device can be had the status is 120, and both causes are named")
def _():
    for options, prefix in ((["--device=veth"], NO_VETH), (["--device=auto"], [*NO_TUN, *NO_VETH])):
        done = sandbox.nsrun(*options, "--", "true", prefix=prefix)
        expect_equal(done.returncode, 120, done.stderr)
        expect_equal(done.stderr.count("\n"), 1, done.stderr)
        expect("max_net_namespaces" in done.stderr, done.stderr)
    expect("/dev/net/tun" in done.stderr and "veth" in done.stderr, done.stderr)


@test("a kind of device that does not exist is an error of usage")
def _():
    done = sandbox.nsrun("--device=tap", "--", "true")
    expect_equal(done.returncode, 2, done.stderr)
    expect("auto, tun or veth" in done.stderr, done.stderr)


@test("20 uploads at once share a veth pair's queue, and all arrive whole")
def _():
    size, count, received = 10 * MIB, 20, []
    upload = " ".join([*sandbox.PYTHON, sandbox.GUEST, "upload"])
    with Server(count_and_tell) as server, sandbox.start_shell(options=VETH) as shell:
        arguments = f"'[\"{server.host}\", {server.port}, {size}]'"
        for _ in range(count):
            shell.say(f"{upload} {arguments} &")
        shell.say("wait; echo all done")
        for _ in range(count):
            sent, answer = shell.wait_for(r'\["(\w+)", "(\d+ \w+)"\]\n', 60).groups()
            received.append(answer == b"%d %s" % (size, sent))
    expect_equal(received, [True] * count)


def processes():
    """All of this world that have not ended: a network namespace lives as long as one of them is in it, or
    holds its sockets."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as file:
                state = file.read().rsplit(") ", 1)[1][0]
        except OSError:
            continue
        if state != "Z":  # proc(5)
            found.add(process)
    return found


@test("when a sandbox on a veth pair ends, nothing is left of it, also when nsrun is killed")
def _():
    before, links = processes(), os.listdir("/proc/sys/net/ipv4/conf")
    for number in (None, 9):
        with sandbox.start_guest("serve", "::", [80], [], options=VETH) as running:
            expect(len(processes() - before) >= 3, "nsrun, its agent and the command")
            expect_equal(os.listdir("/proc/sys/net/ipv4/conf"), links, "devices of the world")
            if number:
                running.signal(number)
            else:
                running.process.stdin.close()
            until(lambda: running.process.poll() is not None and processes() <= before, 5,
                  "the end of the sandbox's processes")
        expect_equal(os.listdir("/proc/sys/net/ipv4/conf"), links, "devices of the world")
