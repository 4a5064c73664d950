"""Completion in a shell: `nsrun completion words …` gives candidates, and bash asks it.

    bash ── words up to the cursor ──► nsrun completion words
         ◄── candidates, what else ──
"""
import os
import re
import subprocess

from support import sandbox
from support.theme import expect, expect_equal, test, until

COMMANDS = ([], ["forward"], ["lennut", "server"], ["tunnel", "server"], ["tunnel", "client"], ["vsock", "host"],
            ["wake"])


def answered(*words):
    done = sandbox.nsrun("completion", "words", *words)
    expect_equal(done.returncode, 0, done.stderr)
    *lines, rest = done.stdout.splitlines()
    return [line.split("\t")[0] for line in lines], rest


def words_for(*words):
    return answered(*words)[0]


@test("every option in a command's --help is completed, and the command accepts each option that is completed")
def _():
    for command in COMMANDS:
        text = sandbox.nsrun(*command, "--help").stdout
        listed = set(re.findall(r"^ +(?:-\w, )?(--[a-z][a-z0-9-]+)", text, re.MULTILINE))
        expect(len(listed) > 5, command, listed)
        completed = set(words_for(*command, "--"))
        expect_equal(listed - completed, set(), f"not completed: {command}")
        for option in completed - {"--help", "--version"}:
            # Nothing starts: a command is missing, and "x" is a valid forward or role of none.
            said = sandbox.nsrun(*command, option, *(["x", "x"] if command else []), timeout=20).stderr
            expect(said and "unknown option" not in said and "expected: -" not in said, command, option, said)


@test("the first word is a subcommand, an option or a command")
def _():
    words, rest = answered("")
    expect({"forward", "tunnel", "wake", "ctl", "policy", "vsock", "lennut", "completion"} <= set(words), words)
    expect_equal(rest, ":command 0")
    expect_equal(words_for("for"), ["forward"])
    expect_equal(words_for("--pu"), ["--publish"])
    expect_equal(words_for("tunnel", ""), ["server", "client"])
    expect_equal(words_for("policy", "ex"), ["explain"])


@test("values are completed: choices, beginnings of rules, files")
def _():
    expect_equal(words_for("--latency", ""), ["auto", "low", "cpu"])
    expect_equal(words_for("--latency=l"), ["--latency=low"])
    expect_equal(words_for("--accelerate=o"), ["--accelerate=on", "--accelerate=off"])
    expect_equal(words_for("--default", "re"), ["reject"])
    expect_equal(words_for("wake", "--sleep", ""), ["stop", "pause"])
    words, rest = answered("--allow", "t")
    expect_equal((words, rest), (["tcp/", "tls/"], ":none nospace"))
    expect_equal(answered("--log", ""), ([], ":files"))
    expect_equal(answered("--allow", "x", "--policy", "x"), ([], ":files"))


@test("the command's own words are the shell's to complete, from the place where it begins")
def _():
    expect_equal(answered("--allow", "x", "git", "st"), ([], ":command 2"))
    expect_equal(answered("-q", "--", "git", "st"), ([], ":command 2"))
    expect_equal(answered("--map-root", "gi")[1], ":command 1")
    expect_equal(answered("wake", "--sandbox", "-q", "git", "st")[1], ":command 3")
    # An option after the command is the command's.
    expect_equal(answered("git", "--l"), ([], ":command 0"))


@test("nsrun ctl is completed with the control sockets that live, and with its commands")
def _():
    with sandbox.start("sh", "-c", "echo ready; exec sleep 1000", options=["--control", "./control"]) as running:
        running.wait_for("ready")
        expect_equal(words_for("ctl", ""), ["./control"])
    # Killed, it leaves the file; until its agent has followed there may still be a listener.
    expect(os.path.exists("control"), "the socket's file is gone")
    until(lambda: words_for("ctl", "") == [], what="forgetting a sandbox that was killed")
    expect_equal(words_for("ctl", "socket", "p"), ["publish", "policy"])
    expect_equal(words_for("ctl", "socket", "publish", "a"), ["add"])


def bash(line):
    """What bash offers at the end of a line."""
    script = f"""
source <({sandbox.NSRUN} completion bash)
COMP_LINE=$1 COMP_POINT=${{#1}}
read -ra COMP_WORDS <<<"$1"
case $1 in *' ') COMP_WORDS+=('');; esac
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_nsrun
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", f"{sandbox.NSRUN} {line}"], capture_output=True, text=True,
                          timeout=30, check=True)
    return done.stdout.split()


@test("bash completes options, values after an equals sign, files and the command")
def _():
    expect_equal(bash("--pu"), ["--publish"])
    expect_equal(bash("--latency=lo"), ["low"])
    expect_equal(bash("tunnel se"), ["server"])
    with open("rules.yaml", "w") as file:
        file.write("rules: []\n")
    expect_equal(bash("--policy rul"), ["rules.yaml"])
    expect("sleep" in bash("-q -- slee"), bash("-q -- slee"))
    expect_equal(bash("cat rul"), ["rules.yaml"])


@test("a shell that is not known gives 2 and one line; the scripts of the known ones are read by their shells")
def _():
    done = sandbox.nsrun("completion", "tcsh")
    expect(done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr)
    for shell in ("bash", "zsh", "fish"):
        script = sandbox.nsrun("completion", shell).stdout
        expect("completion words" in script, shell)
        try:
            checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=20)
        except FileNotFoundError:
            continue  # the shell is not installed
        expect_equal(checked.returncode, 0, checked.stderr)
