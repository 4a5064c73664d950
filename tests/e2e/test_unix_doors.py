"""Unix sockets: which of them a closed sandbox reaches.

    outside                                               closed sandbox
    sockets by path, bound before or after ──── x ──────  the command, root inside or not
    abstract sockets ────────────────────────── x ──────    │
    one socket ──────────── --allow-unix ───────────────►   ├─► connects, carried out for it by nsrun
                                                          sockets bound inside, by whatever name
"""
import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess

from support import sandbox
from support.closed import CLOSED, Outside, command, inside, session
from support.theme import Skip, expect, expect_equal, need, test, until


@test("unix sockets of outside are reached without a deny default, and not with one")
def _():
    with Outside("a.sock") as one, Outside("@nsrun-e2e-doors") as abstract:
        expect_equal(inside("greetings", [one.path, abstract.path], options=[]), ["outside", "ECONNREFUSED"])
        for options in (CLOSED, ["--allow", "192.0.2.1"], [*CLOSED, "--map-root"]):
            expect_equal(inside("greetings", [one.path, "a.sock", abstract.path], options=options),
                         ["ECONNREFUSED"] * 3, options)


@test("sockets for packets, and those that a link or another name leads to, are closed too")
def _():
    with Outside("packets.sock", socket.SOCK_SEQPACKET) as packets, Outside("linked.sock") as linked:
        os.symlink(linked.path, "link")
        os.symlink(os.getcwd(), "here")
        expect_equal(inside("greeting", packets.path, socket.SOCK_SEQPACKET), "ECONNREFUSED")
        seen = inside("greetings", ["link", "here/linked.sock", "/proc/self/cwd/linked.sock", "./here/here/link"])
        expect_equal(seen, ["ECONNREFUSED"] * 4)
        os.unlink("link")
        os.unlink("here")


@test("the session's runtime directory is empty inside, and sockets made there inside work")
def _():
    with session() as (runtime, environment):
        expect_equal(sandbox.run("ls", "-A", runtime, options=CLOSED, env=environment), "")
        expect_equal(inside("greeting", runtime + "/bus", env=environment), "ENOENT")
        script = f"cd {runtime} && " + " ".join(map(repr, command("server_inside"))) + " && ls -A"
        expect_equal(sandbox.run("sh", "-c", script, options=CLOSED, env=environment), "true\n")
        expect_equal(os.listdir(runtime), ["bus"])


@test("the working directory and the home directory stay what they are, wherever sockets are")
def _():
    with session() as (runtime, environment):
        expect_equal(sandbox.run("ls", "-A", options=CLOSED, env=environment, cwd=runtime), "bus\n")
        expect_equal(inside("greeting", "bus", env=environment, cwd=runtime), "ECONNREFUSED")


@test("a unix socket that is bound outside after the start is not reached, by any name")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"], [*CLOSED, "--accelerate"]):
        with sandbox.start(*command("greetings_later"), options=options) as running:
            running.wait_for("ready\n")
            with Outside("late.sock") as late:
                os.link(late.path, "other-name")
                os.symlink(late.path, "link")
                here = os.getcwd()
                running.say(json.dumps([late.path, "late.sock", "./late.sock", "other-name", "link",
                                        "/proc/self/cwd/late.sock", f"/proc/self/root{here}/late.sock"]))
                seen = json.loads(running.wait_for(r"\[.*\]\n")[0])
                os.unlink("other-name")
                os.unlink("link")
            expect_equal(set(seen), {"ECONNREFUSED"}, options)


@test("an inherited directory of outside leads to no unix socket, an inherited socket to no abstract name")
def _():
    with session() as (runtime, environment), Outside("@nsrun-e2e-inherited") as abstract:
        directory, inherited = os.open(runtime, os.O_RDONLY), socket.socket(socket.AF_UNIX)
        seen = inside("inherited_ways", directory, "bus", inherited.fileno(), abstract.path, env=environment,
                      pass_fds=[directory, inherited.fileno()])
        os.close(directory)
        inherited.close()
        expect(set(seen) <= {"EACCES", "ECONNREFUSED"}, seen)


@test("sockets bound inside are reached by every name, from a chroot and from further namespaces")
def _():
    me = f"{os.getuid()} {os.getgid()}"
    seen = inside("named_inside", False)
    shutil.rmtree("inside")
    expect_equal(seen, {"names": [f"inside {me}"], "unshared": f"inside {me}", "network": f"inside {me}"})
    seen = inside("named_inside", "root", options=[*CLOSED, "--map-root", "--accelerate"])
    expect_equal(set(map(str, seen.values())), {"['inside 0 0']", "inside 0 0"}, seen)
    shutil.rmtree("inside")


@test("a server inside is told the ids of whoever asks, where there are several")
def _():
    done = sandbox.nsrun("--map-auto", "--", "true")
    if done.returncode != 0:
        raise Skip(done.stderr.strip())
    seen = inside("named_inside", "auto", options=[*CLOSED, "--map-root", "--map-auto"])
    shutil.rmtree("inside")
    expect_equal((seen["other"], seen["chroot"]), ("inside 5 6", "inside 0 0"))


@test("a unix socket whose queue is full says so, or waits for room")
def _():
    expect_equal(inside("waiting_for_room"), ["EAGAIN", "inside"])


@test("other sockets connect as ever, and no netlink socket to another's")
def _():
    for options in (CLOSED, [*CLOSED, "--map-root"], [*CLOSED, "--accelerate"]):
        expect_equal(inside("other_sockets", "192.0.2.1", options=options),
                     {"udp": None, "disconnect": None, "kernel": None, "other": "EPERM", "nothing": "ENOTSOCK",
                      "bad address": "EFAULT"}, options)


@test("a thread that changes address, descriptor or file under a connect never gets outside")
def _():
    notes = []
    for options in (CLOSED, [*CLOSED, "--map-root", "--accelerate"]):
        met = []
        with sandbox.start_shell(options=options) as shell, \
                Outside("racing.sock", greet=lambda _: met.append(1)) as racing:
            for function, arguments in (("swapped_address", [os.path.abspath("raced.sock"), racing.path, 2]),
                                        ("swapped_descriptor", [racing.path, 2]), ("swapped_file", [racing.path, 2])):
                said = shell.ask(" ".join(map(shlex.quote, command(function, *arguments))))
                expect_equal(met, [], function)
                notes.append(f"{function}: {said}")
                for left in ("raced.sock", "flips"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(left)
    return ", ".join(notes)


@test("a guest that kills what carries out its connects has connects that fail, and none that never end")
def _():
    count, seen = inside("killing_the_broker", 2)
    expect(set(seen) <= {"inside", "ECONNABORTED", "ECONNRESET"}, seen)
    return f"{count} connects: {', '.join(seen)}"


@test("a closed sandbox in a closed sandbox does not start unless unix sockets are to stay open")
def _():
    done = sandbox.nsrun(*CLOSED, "--", sandbox.NSRUN, *CLOSED, "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (125, ""))
    expect("nsrun runs inside another sandbox that traps calls" in done.stderr, done.stderr)
    done = sandbox.nsrun(*CLOSED, "--", sandbox.NSRUN, *CLOSED, "--allow-unix", "*", "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (0, "ran\n"), done.stderr)


@test("--allow-unix leaves one socket reachable, also in a directory that is empty otherwise")
def _():
    with session() as (runtime, environment), Outside(runtime + "/wanted") as wanted, Outside("b.sock") as other:
        options = [*CLOSED, "--allow-unix", wanted.path]
        seen = inside("greetings", [wanted.path, runtime + "/bus", other.path], options=options, env=environment)
        expect_equal(seen, ["outside", "ENOENT", "ECONNREFUSED"])
        options += ["--allow-unix", "b.sock"]
        seen = inside("greetings", [wanted.path, runtime + "/bus", other.path], options=options, env=environment)
        expect_equal(seen, ["outside", "ENOENT", "outside"])
        seen = inside("greetings", [runtime + "/bus", other.path], options=[*CLOSED, "--allow-unix", "*"],
                      env=environment)
        expect_equal(seen, ["outside", "outside"])


@test("what an allowed server hands over is the command's")
def _():
    with open("note", "w+") as note:
        note.write("for you")
        note.flush()

        def hand_over(connection):
            note.seek(0)
            socket.send_fds(connection, [b"x"], [note.fileno()])

        with Outside("giving.sock", greet=hand_over) as server:
            options = [*CLOSED, "--allow-unix", server.path]
            expect_equal(inside("taken_descriptor", server.path, options=options), "for you")
    os.unlink("note")


@test("--allow-unix of what is no socket, or where nothing is closed, starts nothing")
def _():
    for path in ("nowhere.sock", "/dev/null"):
        done = sandbox.nsrun(*CLOSED, "--allow-unix", path, "--", "echo", "ran")
        expect_equal((done.returncode, done.stdout), (2, ""), path)
        expect("is not a unix socket" in done.stderr, done.stderr)
    done = sandbox.nsrun("--allow-unix", "/dev/null", "--", "echo", "ran")
    expect_equal((done.returncode, done.stdout), (2, ""))


@test("unix datagram sockets cannot be made, in any way, and nothing arrives outside")
def _():
    with Outside("log.sock", socket.SOCK_DGRAM) as log:
        seen = inside("datagrams", log.path)
        expect_equal(seen, {"alone": "EACCES", "raw": "EACCES", "flags": "EACCES", "pair": "EACCES",
                            "raw pair": "EACCES", "stream pair": None})
        expect_equal(log.received(), None)
        seen = inside("datagrams", log.path, options=[])
        expect_equal((seen["pair"], log.received()), (None, b"out"), "in an open sandbox")


@test("unix sockets among the sandbox's own work as ever")
def _():
    expect_equal(inside("server_inside"), True)
    expect_equal(inside("server_inside", options=[*CLOSED, "--map-root"]), True)


@test("an ssh agent, a session bus and a tmux server answer outside and not inside")
def _():
    need("ssh-agent", "ssh-add", "tmux", "dbus-daemon")
    here = os.getcwd()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", f"{here}/agent.sock"], stdout=subprocess.DEVNULL)
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", f"--address=unix:path={here}/bus.sock"])
    subprocess.run(["tmux", "-S", "tmux.sock", "new-session", "-d"], check=True)
    try:
        until(lambda: all(os.path.exists(f"{name}.sock") for name in ("agent", "bus")), what="the sockets")
        environment = {**os.environ, "SSH_AUTH_SOCK": f"{here}/agent.sock"}
        expect_equal(sandbox.nsrun("--", "ssh-add", "-l", env=environment).returncode, 1, "it has no keys")
        expect_equal(sandbox.nsrun(*CLOSED, "--", "ssh-add", "-l", env=environment).returncode, 2, "it is not there")
        expect_equal(sandbox.nsrun(*CLOSED, "--", "tmux", "-S", "tmux.sock", "ls").returncode, 1)
        expect_equal(inside("greeting", f"{here}/bus.sock"), "ECONNREFUSED")
        options = [*CLOSED, "--allow-unix", "agent.sock"]
        expect_equal(sandbox.nsrun(*options, "--", "ssh-add", "-l", env=environment).returncode, 1)
    finally:
        subprocess.run(["tmux", "-S", "tmux.sock", "kill-server"], check=False)
        for process in (agent, bus):
            process.terminate()
            process.wait()
