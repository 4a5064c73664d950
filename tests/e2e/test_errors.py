"""What stands in the way of a sandbox is said in one line, with a status of its own.

    world root ──► a mount or user namespace that lacks something ──► nsrun
"""
import os
import shutil
import stat
import subprocess

from support import sandbox
from support.theme import Skip, expect, expect_equal, need, test

IN_A_WORLD = True


def under(script):
    """Words that run a command after a script, in a mount namespace of its own."""
    return ["unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh"]


def one_line(done, status, *mentions):
    expect_equal(done.returncode, status, f"status ({done.stderr.strip()!r})")
    expect(done.stderr.startswith("nsrun: ") and done.stderr.count("\n") == 1, "standard error:",
           repr(done.stderr))
    for word in mentions:
        expect(word in done.stderr, f"no {word!r} in", done.stderr)


def in_place_of_tun(file):
    return sandbox.nsrun("--device=tun", "--", "true", prefix=under(f"mount --bind {file} /dev/net/tun"))


@test("with --device=tun and no /dev/net/tun the status is 120")
def _():
    hidden = "mkdir -p empty && mount --bind empty /dev/net"
    one_line(sandbox.nsrun("--device=tun", "--", "true", prefix=under(hidden)), 120, "/dev/net/tun", "modprobe tun")


@test("with --device=tun, where /dev/net/tun may not be opened, the status is 120, and the mode to give it is named")
def _():
    private = "/etc/shadow"  # any file of somebody else, of an id that the sandbox does not map
    if os.access(private, os.R_OK):
        raise Skip(f"{private} can be read here")
    one_line(in_place_of_tun(private), 120, "/dev/net/tun", "ermission denied", "0666")


@test("with --device=tun, where /dev/net/tun is something else, the status is 120")
def _():
    one_line(in_place_of_tun("/etc/passwd"), 120)
    one_line(in_place_of_tun("/dev/null"), 120)


@test("where user namespaces are turned off the status is 121, and the setting is named")
def _():
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c",
               'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh", sandbox.NSRUN, "--", "true"]
    done = subprocess.run(limited, capture_output=True, text=True)
    one_line(done, 121, "max_user_namespaces")


@test("with --map-auto and no newuidmap the status is 123")
def _():
    os.makedirs("few-programs", exist_ok=True)
    for program in ("true", "unshare"):
        if not os.path.exists(f"few-programs/{program}"):
            os.symlink(shutil.which(program), f"few-programs/{program}")
    done = sandbox.nsrun("--map-auto", "--", "true",
                         env={**os.environ, "PATH": os.path.abspath("few-programs")})
    if "there are no subordinate ids" in done.stderr:
        raise Skip("this account has no range in /etc/subuid")
    one_line(done, 123, "newuidmap")


@test("with --map-auto and no range in /etc/subuid the status is 123, and the command to get one is named")
def _():
    need("newuidmap")
    if not os.path.exists("/etc/subuid"):
        raise Skip("there is no /etc/subuid here")
    with open("no-ranges", "w") as file:
        file.write("nobody-at-all:100000:65536\n")
    done = sandbox.nsrun("--map-auto", "--", "true", prefix=under("mount --bind no-ranges /etc/subuid"))
    one_line(done, 123, "/etc/subuid", "usermod")


@test("where /etc/resolv.conf is missing the command runs all the same")
def _():
    if not stat.S_ISREG(os.lstat("/etc/resolv.conf").st_mode):
        raise Skip("/etc/resolv.conf is no plain file here")
    hidden = ("mkdir -p etc && cp -a /etc/passwd /etc/group /etc/ld.so.cache etc/ 2>/dev/null; "
              "mount --bind etc /etc")
    done = sandbox.nsrun("--", "sh", "-c", "echo ran", prefix=under(hidden))
    expect_equal((done.returncode, done.stdout), (0, "ran\n"))
    expect(done.stderr.count("\n") <= 1 and "resolv.conf" in done.stderr, done.stderr)


@test("a published port that needs privilege is an error that names the setting")
def _():
    one_line(sandbox.nsrun("-p", "80:80", "--", "true"), 125, "port 80", "ip_unprivileged_port_start")


@test("control characters of what was given reach no terminal: each command prints them as text")
def _():
    hostile = "a\x1b[2Jb\x07c"
    for words in (["--allow", hostile, "--", "true"], ["policy", hostile], ["policy", "check", hostile],
                  ["ctl", hostile, "flows"], ["forward", hostile], ["wake", "--config", hostile],
                  ["vsock", hostile], ["lennut", hostile], ["completion", hostile], [f"--{hostile}"]):
        done = sandbox.nsrun(*words)
        expect(done.returncode != 0, words, "is accepted")
        expect(not {"\x1b", "\x07"} & set(done.stderr), words, "prints", repr(done.stderr))
