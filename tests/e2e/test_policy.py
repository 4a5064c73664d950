"""Who may go where: rules from options and files, learnt and asked for.

    sandbox                              world
    guest.py ──── nsrun ── rules ──┬──►  good.example.test, other.example.test   192.0.2.10, 192.0.2.20
                    │              ├─✗   what no rule allows
                    │              └──►  another place, or a proxy
                    └── --ask: a program of the world decides
"""
import json
import os
import signal
import subprocess

from support import sandbox
from support.dns import NameServer
from support.proxies import Socks5
from support.servers import Server, echo
from support.theme import expect, expect_equal, test, until
from support.world import CLIENT4, SERVER4, SERVER6, as_user

IN_A_WORLD = True
GOOD, OTHER = "good.example.test", "other.example.test"
TABLE = {(GOOD, "A"): [SERVER4], (GOOD, "AAAA"): [SERVER6], (OTHER, "A"): [SERVER4],
         ("mail.example.test", "TXT"): ["by nobody"]}

# Allows what has an odd id, and keeps a copy of what it was asked.
ASKED = """import json, sys
for line in sys.stdin:
    print(line, end="", file=open("asked", "a"))
    question = json.loads(line)
    print(json.dumps({"id": question["id"], **ANSWER(question)}), flush=True)
"""


def errors(targets, *options, seconds=10):
    return sandbox.inside("connect_errors", targets, seconds, options=options)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def program(answer):
    """The command line of a program for --ask; `answer`: what it makes of a question, as Python."""
    write("asks.py", ASKED.replace("ANSWER", f"(lambda question: {answer})"))
    if os.path.exists("asked"):
        os.unlink("asked")
    return "exec python3 asks.py"


def policy_command(*words):
    """nsrun policy …, which takes no options of sandboxes."""
    return subprocess.run([*as_user(), sandbox.NSRUN, "policy", *words], capture_output=True, text=True, timeout=20)


def questions():
    with open("asked") as file:
        return [json.loads(line) for line in file]


@test("with an allowed name everything else is refused at once, and other names are not even asked about")
def _():
    with NameServer(TABLE) as names, Server(echo) as server:
        seen = errors([(GOOD, server.port), (SERVER4, server.port)], "--allow", GOOD)
        expect_equal(seen, [None, "ECONNREFUSED"])
        names.asked.clear()
        done = sandbox.nsrun("--allow", GOOD, "--", *sandbox.guest_command("connect_error", OTHER, server.port))
        expect(done.returncode != 0 or "null" not in done.stdout, done.stdout)
        expect_equal([name for name, _, _ in names.asked if OTHER in name], [], "asked")


@test("a rule holds for its ports, and names below one for *. alone")
def _():
    with NameServer(TABLE), Server(echo) as server:
        options = ["--allow", f"*.example.test:{server.port}"]
        expect_equal(errors([(GOOD, server.port), (GOOD, server.port ^ 1)], *options), [None, "ECONNREFUSED"])


@test("deny is silence, reject an answer, and the first rule that matches decides")
def _():
    with NameServer(TABLE), Server(echo) as server:
        targets = [(GOOD, server.port), (OTHER, server.port), (SERVER4, server.port)]
        rules = ["--deny", f"{GOOD}:{server.port}", "--reject", f"{OTHER}:{server.port}",
                 "--deny", f"{OTHER}:{server.port}"]
        expect_equal(errors(targets, *rules, "--default", "allow", seconds=1), ["timeout", "ECONNREFUSED", None])


@test("a name that is refused whatever the port does not exist for the command")
def _():
    with NameServer(TABLE) as names:
        seen = errors([(GOOD, 80)], "--deny", GOOD)
        expect("not known" in seen[0], seen)
        expect_equal(names.asked, [])


@test("--allow-domains is a list of names")
def _():
    with NameServer(TABLE), Server(echo) as server:
        seen = errors([(GOOD, server.port), (OTHER, server.port), (SERVER4, server.port)],
                      "--allow-domains", f"{GOOD},*.nowhere.test,{OTHER}")
        expect_equal(seen, [None, None, "ECONNREFUSED"])


@test("a redirected flow goes elsewhere, whatever its name resolves to")
def _():
    with NameServer({}), Server(echo, CLIENT4) as server:
        options = ["--redirect", f"api.example.test:443={CLIENT4}:{server.port}"]
        expect_equal(sandbox.inside("echoed", "api.example.test", 443, "hello", options=options), "hello")


@test("--via takes one name through a proxy and leaves the others alone; its password cannot be seen")
def _():
    with NameServer(TABLE) as names, Server(echo) as server, \
            Socks5({"inner.example.test": SERVER4}, account=("user", "hidden-word")) as proxy:
        via = f"socks5h://user:hidden-word@{proxy.host}:{proxy.port}@inner.example.test"
        seen = errors([("inner.example.test", server.port), (GOOD, server.port)], "--via", via)
        expect_equal(seen, [None, None])
        expect_equal([host for _, _, host, _ in proxy.asked], ["inner.example.test"])
        expect("inner.example.test" not in {name for name, _, _ in names.asked}, names.asked)
        seen = sandbox.run("sh", "-c", "cat /proc/[0-9]*/cmdline", options=["--via", via])
        expect("socks5h://" in seen and "hidden-word" not in seen, seen)


@test("a policy file says the same as the options, and stands where --policy stands")
def _():
    write("policy.yaml", f"version: 1\nrules:\n  - deny: {OTHER}:1-65534\n  - allow: [{GOOD}, '*.example.test']\n")
    with NameServer(TABLE), Server(echo) as server:
        targets = [(GOOD, server.port), (OTHER, server.port), (SERVER4, server.port)]
        expect_equal(errors(targets, "--policy", "policy.yaml", seconds=1), [None, "timeout", "ECONNREFUSED"])
        expect_equal(errors(targets, "--allow", OTHER, "--policy", "policy.yaml"), [None, None, "ECONNREFUSED"])
        expect_equal(errors(targets, "--policy", "policy.yaml", "--default", "allow", seconds=1),
                     [None, "timeout", None])


@test("an empty policy file allows nothing")
def _():
    write("empty.yaml", "")
    with NameServer(TABLE), Server(echo) as server:
        expect_equal(errors([(SERVER4, server.port)], "--policy", "empty.yaml"), ["ECONNREFUSED"])


@test("a wrong rule names its option or its place in the file, and nothing starts")
def _():
    for text, place in (("rules:\n  - alow: x\n", "bad.yaml:2:5: alow:"), ("rules:\n  - allow: *.x\n", "bad.yaml:2:13:"),
                        ("version: 1\nrules:\n- allow: a..b\n", "bad.yaml:3:10: allow:")):
        write("bad.yaml", text)
        done = sandbox.nsrun("--policy", "bad.yaml", "--", "touch", "started")
        expect_equal(done.returncode, 2, done.stderr)
        expect(place in done.stderr, done.stderr)
    done = sandbox.nsrun("--allow", "127.1", "--", "touch", "started")
    expect(done.returncode == 2 and "--allow '127.1'" in done.stderr and "127.0.0.1" in done.stderr, done.stderr)
    expect(not os.path.exists("started"), "the command was started")


@test("a learnt policy allows the same and nothing else, and is the same each time")
def _():
    learnt = []
    with NameServer(TABLE), Server(echo) as server:
        targets = [(GOOD, server.port), (SERVER4, server.port)]
        for _ in range(2):
            expect_equal(errors(targets, "--learn", "learnt.yaml"), [None, None])
            with open("learnt.yaml") as file:
                learnt.append(file.read())
        expect_equal([line for line in learnt[0].splitlines() if line.startswith("  - ")],
                     [f"  - allow: tcp/{GOOD}:{server.port}", f"  - allow: tcp/{SERVER4}:{server.port}"])
        expect_equal(learnt[0].splitlines()[1:], learnt[1].splitlines()[1:])
        expect("guest.py" in learnt[0].splitlines()[0], learnt[0])
        seen = errors([*targets, (GOOD, server.port ^ 1), (CLIENT4, server.port)], "--policy", "learnt.yaml")
        expect_equal(seen, [None, None, "ECONNREFUSED", "ECONNREFUSED"])
        expect_equal(os.listdir(".").count("learnt.yaml"), 1)
        expect(not [name for name in os.listdir(".") if name.startswith("learnt.yaml.")], os.listdir("."))


@test("a name that is only asked about is learnt for questions alone")
def _():
    dig = ["dig", "+short", "+tries=1", "mail.example.test", "TXT"]
    with NameServer(TABLE):
        sandbox.run(*dig, options=["--learn", "learnt.yaml"])
        with open("learnt.yaml") as file:
            expect("  - allow: dns/mail.example.test\n" in file.read())
        expect("by nobody" in sandbox.run(*dig, options=["--policy", "learnt.yaml"]))
        expect_equal(sandbox.run(*dig[:-2], GOOD, options=["--policy", "learnt.yaml"]), "")


@test("what was learnt is written when the command fails, and when nsrun is asked to end")
def _():
    with NameServer(TABLE), Server(echo) as server:
        line = f"  - allow: tcp/{SERVER4}:{server.port}\n"
        script = sandbox.guest_command("connect_error", SERVER4, server.port)
        done = sandbox.nsrun("--learn", "failed.yaml", "--", "sh", "-c", '"$@"; exit 7', "sh", *script)
        expect_equal(done.returncode, 7, done.stderr)
        with open("failed.yaml") as file:
            expect(line in file.read())
        with sandbox.start("sh", "-c", '"$@"; echo done; exec sleep 60', "sh", *script,
                           options=["--learn", "ended.yaml"]) as running:
            running.wait_for("done")
            running.signal(signal.SIGTERM)
            running.status()
        with open("ended.yaml") as file:
            expect(line in file.read())


@test("a program is asked what to do, by name, and once for the same question while it is open")
def _():
    answer = f'{{"answer": "allow" if question["name"] == "{GOOD}" else "reject"}}'
    with NameServer(TABLE), Server(echo) as server:
        seen = errors([(GOOD, server.port), (SERVER4, server.port)], "--ask", program(answer))
        expect_equal(seen, [None, "ECONNREFUSED"])
        asked = [(q["protocol"], q["name"], q["address"], q["port"]) for q in questions()]
        expect(("tcp", GOOD, None, server.port) in asked and ("tcp", None, SERVER4, server.port) in asked, asked)


@test("an answer for always is not asked for again, with several workers too")
def _():
    with NameServer(TABLE), Server(echo) as server:
        options = ["--ask", program('{"answer": "allow", "remember": "always"}'), "--workers", "2"]
        opened, _ = sandbox.inside("many_connections", SERVER4, server.port, 50, options=options)
        expect_equal(opened, 50)
        expect_equal(len(questions()), 1, "questions")


@test("rules decide before anybody is asked")
def _():
    with NameServer(TABLE), Server(echo) as server:
        seen = errors([(GOOD, server.port), (OTHER, server.port)], "--allow", GOOD, "--reject", f"{OTHER}:{server.port}",
                      "--ask", program('{"answer": "allow"}'))
        expect_equal(seen, [None, "ECONNREFUSED"])
        expect(not os.path.exists("asked"), "it was asked")


@test("no answer, nonsense, and a program that ends are deny, and said once")
def _():
    with Server(echo) as server:
        target = [(SERVER4, server.port)]
        for command, words in (("exec sleep 100", "not answered in time"),
                               ("while read line; do echo nonsense; done", "'nonsense'"),
                               ("exit 3", "has ended")):
            done = sandbox.nsrun("--ask", command, "--ask-timeout", "1", "--",
                                 *sandbox.guest_command("connect_errors", target * 2, 2.5))
            expect_equal(json.loads(done.stdout), ["timeout", "timeout"], command)
            expect_equal(done.stderr.count(words), 1, done.stderr)


@test("the program that is asked ends with nsrun, and hears signals as any program")
def _():
    command = "echo $$ >asker; trap 'echo told >ended; exit' TERM; while read line; do echo; done; echo end >ended"
    with Server(echo) as server:
        sandbox.nsrun("--ask", command, "--ask-timeout", "1", "--",
                      *sandbox.guest_command("connect_errors", [(SERVER4, server.port)], 2))
        with open("asker") as file:
            number = file.read().strip()
        until(lambda: not os.path.exists(f"/proc/{number}"), what="its end")
        expect(os.path.exists("ended"), "it was killed")


@test("--log-flows says what it matches as it begins, allowed or not")
def _():
    with NameServer(TABLE), Server(echo) as server:
        done = sandbox.nsrun("--log-flows", "*.example.test", "--reject", f"{OTHER}:{server.port}", "--",
                             *sandbox.guest_command("connect_errors", [(GOOD, server.port), (OTHER, server.port),
                                                                       (SERVER4, server.port)]))
        lines = [line for line in done.stderr.splitlines() if "flow" in line]
        expect(f"tcp/{GOOD}:{server.port} allowed (default)" in lines[0], done.stderr)
        expect(f"tcp/{OTHER}:{server.port} rejected (reject {OTHER}:{server.port})" in lines[-1], done.stderr)
        expect(SERVER4 not in done.stderr, done.stderr)


@test("policy explain tells what a sandbox does, and where the rule stands")
def _():
    write("policy.yaml", f"rules:\n  - deny: {OTHER}\n  - allow: '*.example.test:443'\n")
    explained = {}
    for subject in (f"tcp/{GOOD}:443", f"tcp/{GOOD}:80", f"{OTHER}:443", "169.254.169.254:80", f"dns/{GOOD}"):
        done = policy_command("explain", "--json", "policy.yaml", subject)
        explained[subject] = (done.returncode, json.loads(done.stdout)["verdict"], json.loads(done.stdout)["where"])
    expect_equal(explained, {f"tcp/{GOOD}:443": (0, "allow", "policy.yaml:3"), f"tcp/{GOOD}:80": (1, "reject", ""),
                             f"{OTHER}:443": (1, "deny", "policy.yaml:2"), "169.254.169.254:80": (1, "reject", ""),
                             f"dns/{GOOD}": (0, "allow", "")})
    done = policy_command("explain", "policy.yaml", f"{OTHER}:443")
    expect(f"policy.yaml:2: deny {OTHER}" in done.stdout and "policy.yaml:3" in done.stdout, done.stdout)
    done = policy_command("explain", "--host-loopback", "policy.yaml", f"{OTHER}:443")
    expect(done.returncode == 2 and "no option '--host-loopback'" in done.stderr, done.returncode, done.stderr)


@test("a command that is called policy is run after --")
def _():
    write("policy", "#!/bin/sh\necho the command\n")
    os.chmod("policy", 0o755)
    environment = {**os.environ, "PATH": os.getcwd() + ":" + os.environ["PATH"]}
    done = sandbox.nsrun("--", "policy", env=environment)
    expect_equal(done.stdout, "the command\n", done.stderr)
    expect_equal(policy_command().returncode, 2)
