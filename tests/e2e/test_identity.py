"""Who the command is, in its sandbox and outside.

    account (this one) ──► nsrun ──► user namespace: itself; root with --map-root; more ids with --map-auto
                                └──► pid, uts, ipc namespaces with --pid, --uts, --ipc
"""
import os
import shutil
import socket
import subprocess

from support import sandbox
from support.theme import Skip, expect, expect_equal, need, test

NAMESPACES = ("user", "net", "mnt", "pid", "uts", "ipc")


def status_field(text, name):
    return next(line.split()[1] for line in text.splitlines() if line.startswith(name + ":"))


@test("the command is who the caller is")
def _():
    expect_equal(sandbox.run("id", "-u").strip(), str(os.getuid()))
    expect_equal(sandbox.run("id", "-g").strip(), str(os.getgid()))


@test("with --map-root the command is root inside, and what it makes is the caller's")
def _():
    seen = sandbox.run("sh", "-c", "id -u; id -g; touch made; stat -c %u made", options=["--map-root"])
    expect_equal(seen.split(), ["0", "0", "0"])
    made = os.stat("made")
    expect_equal((made.st_uid, made.st_gid), (os.getuid(), os.getgid()), "owner outside")


def need_id_ranges():
    if not shutil.which("newuidmap"):
        raise Skip("there is no newuidmap here (package uidmap)")
    import pwd
    names = (pwd.getpwuid(os.getuid()).pw_name, str(os.getuid()))
    for path in ("/etc/subuid", "/etc/subgid"):
        lines = open(path).read().splitlines() if os.path.exists(path) else []
        if not any(line.split(":")[0] in names for line in lines):
            raise Skip(f"{names[0]} has no range in {path}")


@test("with --map-auto there are more ids inside, which may own files")
def _():
    need_id_ranges()
    seen = sandbox.run("sh", "-c",
                       "id -u; wc -l </proc/self/uid_map; touch owned && chown 1:1 owned && "
                       "stat -c %u:%g owned; "
                       "rm owned", options=["--map-auto", "--map-root"]).split()
    expect_equal(seen[0], "0")
    expect(int(seen[1]) >= 2, "lines of uid_map:", seen[1])
    expect_equal(seen[2:], ["1:1"], "the owner of a file given away")
    expect_equal(sandbox.run("id", "-u", options=["--map-auto"]).strip(), str(os.getuid()),
                 "without --map-root")


@test("the command has no capabilities and cannot gain privileges")
def _():
    status = sandbox.run("cat", "/proc/self/status")
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        expect_equal(int(status_field(status, field), 16), 0, field)
    expect_equal(status_field(status, "NoNewPrivs"), "1", "NoNewPrivs")


@test("with --map-root the command may rule its own network, and only that")
def _():
    seen = sandbox.run("sh", "-c", "ip link add e2e type veth peer name e2f && ip -o link show e2e | wc -l",
                       options=["--map-root"])
    expect_equal(seen.strip(), "1")
    done = sandbox.nsrun("--map-root", "--", "sh", "-c", "echo 1 >/proc/sys/kernel/panic")
    expect(done.returncode != 0, "the kernel's own settings can be written")


@test("user, network and mount namespaces are always new, the others when asked for")
def _():
    def inside(*options):
        seen = sandbox.run("readlink", *[f"/proc/self/ns/{name}" for name in NAMESPACES],
                           options=options).split()
        return {name for name, link in zip(NAMESPACES, seen) if link != os.readlink(f"/proc/self/ns/{name}")}

    always = {"user", "net", "mnt"}
    expect_equal(inside(), always)
    expect_equal(inside("--pid"), always | {"pid"})
    expect_equal(inside("--uts"), always | {"uts"})
    expect_equal(inside("--ipc"), always | {"ipc"})
    expect_equal(inside("--pid", "--uts", "--ipc"), set(NAMESPACES))


@test("with --pid the command sees the sandbox's processes alone, and its own status survives")
def _():
    seen = sandbox.run("sh", "-c", "echo $$; ls -d /proc/[0-9]*", options=["--pid"]).split()
    expect_equal(seen[0], "2", "its pid (the first is nsrun's agent)")
    expect(set(seen[1:]) <= {"/proc/1", "/proc/2", "/proc/3"}, seen)
    expect_equal(sandbox.nsrun("--pid", "--", "sh", "-c", "kill -9 $$").returncode, 137)


@test("with --uts a new host name stays inside")
def _():
    before = socket.gethostname()
    seen = sandbox.run("sh", "-c", "hostname e2e-sandbox && hostname", options=["--uts", "--map-root"])
    expect_equal(seen.strip(), "e2e-sandbox")
    expect_equal(socket.gethostname(), before)


@test("the sandbox's mounts are its own")
def _():
    before = open("/proc/self/mountinfo").read()
    with sandbox.start_shell(options=["--map-root"]) as shell:
        expect_equal(shell.ask("mount -t tmpfs tmpfs /mnt && stat -f -c %T /mnt"), "tmpfs")
        expect_equal(open("/proc/self/mountinfo").read(), before)


@test("a setuid program does not make the command root")
def _():
    if not shutil.which("su"):
        raise Skip("there is no su here")
    seen = sandbox.nsrun("--", "su", "-c", "id -u", "root").stdout
    expect("0" not in seen.split(), seen)


@test("the command cannot look into nsrun's agent")
def _():
    script = "for file in environ mem maps; do head -c 1 /proc/1/$file; done; ls /proc/1/fd; true"
    done = sandbox.nsrun("--pid", "--", "sh", "-c", script)
    expect(done.stdout == "" and done.stderr.count("ermission denied") >= 4, done.stdout, done.stderr)


@test("ssh reads the files of root's that its configuration includes")
def _():
    need("ssh", "unshare")
    path = os.environ.get("NSRUN_SSH_FILE")
    if not path:
        raise Skip("there is no file of root's in /etc/ssh/ssh_config.d: the suite was not started by root")
    expect_equal(os.stat(path).st_uid, 0)
    question = ["ssh", "-G", os.path.basename(path).replace(".conf", ".test")]
    # Where root has no user id, ssh takes the very same file for a stranger's.
    refused = subprocess.run(["unshare", "--user", "--map-user", str(os.getuid()), *question], capture_output=True,
                             text=True)
    expect("Bad owner" in refused.stderr, refused.stderr)
    for options in ([], ["--map-root"], ["--pid"], ["--allow", "192.0.2.1"]):
        expect("\nport 2299\n" in sandbox.run(*question, options=options), options)
