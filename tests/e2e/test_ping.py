"""ICMP echo: the host sends a ping of its own, and the guest is answered only if that is.

    sandbox                     world
    ping ──────── nsrun ───► 192.0.2.10, 2001:db8::10   answer
                        └──► 203.0.113.9                does not
"""
from support import sandbox
from support.theme import expect, expect_equal, need, test
from support.world import SERVER4, SERVER6, SILENT4, UNREACHABLE4, UNREACHABLE6

IN_A_WORLD = True


def ping(*words):
    need("ping")
    return sandbox.nsrun("--", "ping", *words)


@test("a host that answers is answered for, over IPv4 and IPv6")
def _():
    for host in (SERVER4, SERVER6):
        done = ping("-n", "-c", "3", "-i", "0.01", "-W", "2", host)
        expect(done.returncode == 0 and "3 received" in done.stdout, host, done.stdout, done.stderr)


@test("a large echo request comes back whole")
def _():
    done = ping("-n", "-c", "1", "-s", "20000", "-W", "2", SERVER4)
    expect("20008 bytes from" in done.stdout, done.stdout, done.stderr)


@test("an address nobody has is not answered for")
def _():
    done = ping("-n", "-c", "2", "-i", "0.2", "-W", "1", SILENT4)
    expect(done.returncode == 1 and " 0 received" in done.stdout, done.stdout, done.stderr)


@test("an unreachable host is said to be unreachable, about the very request")
def _():
    for host in (UNREACHABLE4, UNREACHABLE6):
        done = ping("-n", "-c", "2", "-i", "0.2", "-W", "1", host)
        for number in (1, 2):
            expect(f"icmp_seq={number} Destination" in done.stdout, done.stdout, done.stderr)


@test("the gateway answers for itself, without asking the host's loopback")
def _():
    log = sandbox.nsrun("--log", "-", "--", "ping", "-n", "-c", "1", "-W", "1", "10.0.2.2")
    expect("1 received" in log.stdout and "127.0.0.1" not in log.stderr, log.stdout, log.stderr)


# A new network namespace lets nobody ping until told otherwise (icmp(7), ping_group_range).
WITHOUT_PINGS = ["unshare", "--net", "sh", "-c",
                 f"ip link set lo up && ip address add {SERVER4}/32 dev lo && exec \"$@\"",
                 "sh"]


@test("where the host may not ping, the guest is told, and the user is warned once")
def _():
    need("ping")
    done = sandbox.nsrun("--", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", SERVER4,
                         prefix=WITHOUT_PINGS)
    expect(done.returncode != 0 and " 0 received" in done.stdout, done.stdout)
    expect_equal(done.stderr.count("ping_group_range"), 1, f"warnings in {done.stderr!r}")
