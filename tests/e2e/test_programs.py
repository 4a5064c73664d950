"""Programs people run, against their own servers.

    sandbox                               world, 192.0.2.10 (www.example.test)
    curl, git, ssh, redis-cli,            python http and https, sshd, redis-server,
    psql, iperf3 ──────── nsrun ───►      iperf3 -s
"""
import contextlib
import getpass
import json
import os
import subprocess

from support import guest, sandbox
from support.dns import NameServer
from support.servers import Server, program, web_server
from support.theme import Skip, expect, expect_equal, need, test
from support.world import SERVER4, SERVER6

IN_A_WORLD = True
NAME = "www.example.test"
NAMES = {(NAME, "A"): [SERVER4], (NAME, "AAAA"): [SERVER6]}


@contextlib.contextmanager
def files():
    """A directory with a page and 5 MB of data."""
    os.makedirs("site", exist_ok=True)
    with open("site/index.html", "w") as page:
        page.write("a page\n")
    with open("site/data", "wb") as data:
        for block in guest.blocks(5_000_000):
            data.write(block)
    yield "site"


@test("curl fetches a page and a file over HTTP, by name")
def _():
    need("curl")
    with files() as site, NameServer(NAMES), web_server(site) as port:
        expect_equal(sandbox.run("curl", "-sS4", f"http://{NAME}:{port}/"), "a page\n")
        sandbox.run("curl", "-sS4", "-o", "fetched", f"http://{NAME}:{port}/data")
    expect(open("fetched", "rb").read() == open("site/data", "rb").read(), "the file differs")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def certificates():
    """ca.pem, and server.pem with server.key that it signed for NAME."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days",
            "2",
            "-subj", "/CN=e2e test authority")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj",
            f"/CN={NAME}")
    with open("names", "w") as extensions:
        extensions.write(f"subjectAltName=DNS:{NAME}\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out",
            "server.pem", "-days", "2", "-extfile", "names")


@test("curl fetches a file over HTTPS and verifies the certificate")
def _():
    need("curl", "openssl")
    certificates()
    with files() as site, NameServer(NAMES), web_server(site, certificate="server.pem",
                                                        key="server.key") as port:
        url = f"https://{NAME}:{port}/data"
        sandbox.run("curl", "-sS4", "--cacert", "ca.pem", "-o", "fetched", url)
        distrusted = sandbox.nsrun("--", "curl", "-sS4", "-o", "nothing", url)
    expect(open("fetched", "rb").read() == open("site/data", "rb").read(), "the file differs")
    expect_equal(distrusted.returncode, 60, "curl's status without the authority")


def git(*words):
    identity = ["-c", "user.name=E2E", "-c", "user.email=e2e@example.test", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout


@test("git clones over HTTP")
def _():
    need("git")
    git("init", "-q", "work")
    for number in range(20):
        with open(f"work/file{number}", "w") as file:
            file.write(f"{number}\n" * 1000)
        git("-C", "work", "add", "-A")
        git("-C", "work", "commit", "-q", "-m", f"file {number}")
    git("clone", "-q", "--bare", "work", "site.git")
    git("-C", "site.git", "update-server-info")
    with web_server(".") as port:
        sandbox.run("git", "clone", "-q", f"http://{SERVER4}:{port}/site.git", "cloned")
    expect_equal(git("-C", "cloned", "log", "--format=%H"), git("-C", "work", "log", "--format=%H"))


@contextlib.contextmanager
def ssh_server(port):
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    here = os.getcwd()
    with open("sshd_config", "w") as file:
        file.write(f"Port {port}\nListenAddress {SERVER4}\nHostKey {here}/host_key\nUsePAM no\n"
                   "StrictModes no\n"
                   f"AuthorizedKeysFile {here}/user_key.pub\nPidFile none\nSubsystem sftp internal-sftp\n")
    with program("/usr/sbin/sshd", "-D", "-e", "-f", f"{here}/sshd_config", port=port):
        yield


@test("ssh runs a command and passes 20 MB through")
def _():
    if not os.path.exists("/usr/sbin/sshd"):
        raise Skip("there is no sshd here")
    need("ssh", "ssh-keygen")
    user = os.environ.get("LOGNAME") or getpass.getuser()
    with ssh_server(2222):
        ssh = ["ssh", "-F", "none", "-p", "2222", "-i", "user_key", "-o", "StrictHostKeyChecking=no", "-o",
               "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
               f"{user}@{SERVER4}"]
        seen = sandbox.run(*ssh, "echo $SSH_CONNECTION; exit 0").split()
        expect_equal(seen[2:], [SERVER4, "2222"], "SSH_CONNECTION's server")
        passed = sandbox.run("sh", "-c", 'head -c 20000000 /dev/zero | "$@" "cat" | wc -c', "sh", *ssh)
        expect_equal(passed.strip(), "20000000")
        expect_equal(sandbox.nsrun("--", *ssh, "exit 42").returncode, 42)


@test("redis-cli talks to redis-server, singly and in a pipeline")
def _():
    need("redis-cli", "redis-server")
    with program("redis-server", "--port", "6379", "--bind", SERVER4, "--save", "", "--protected-mode", "no",
                 port=6379):
        client = ["redis-cli", "-h", SERVER4]
        expect_equal(sandbox.run(*client, "set", "key", "value").strip(), "OK")
        expect_equal(sandbox.run(*client, "get", "key").strip(), "value")
        seen = sandbox.run("sh", "-c", 'seq 20000 | sed "s/.*/INCR counter/" | "$@" --pipe', "sh", *client)
        expect("errors: 0, replies: 20000" in seen, seen)
        expect_equal(sandbox.run(*client, "get", "counter").strip(), "20000")


@test("psql is told what the server says")
def _():
    need("psql")

    def refuse(connection):  # the startup message, then an ErrorResponse (PostgreSQL, "Message Formats")
        asked = connection.recv(1000)
        body = b"SFATAL\0VFATAL\0C28000\0Mnot today\0\0"
        connection.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)
        return b"e2e_database" in asked

    with Server(refuse) as server:
        done = sandbox.nsrun("--", "psql", f"host={SERVER4} port={server.port} user=e2e dbname=e2e_database "
                                           "sslmode=disable gssencmode=disable", "-c", "select 1")
        expect(server.result(), "the server was not asked for the database")
    expect(done.returncode == 2 and "not today" in done.stderr, done.stderr)


def iperf(*words):
    need("iperf3")
    with program("iperf3", "-s", "-1", "-B", SERVER4, "-p", "5201", port=5201):
        # iperf3 3.12 spins for ever when its peer vanishes.
        text = sandbox.run("timeout", "-s", "KILL", "20", "iperf3", "-J", "-c", SERVER4, "-p", "5201", *words)
    report = json.loads(text)
    expect("error" not in report, report.get("error"))
    return report["end"]


@test("iperf3 measures TCP in both directions")
def _():
    notes = []
    for direction, words in (("up", []), ("down", ["-R"])):
        end = iperf("-t", "1", *words)
        expect(end["sum_received"]["bytes"] > 1_000_000, direction, end["sum_received"])
        notes.append(f"{direction} {end['sum_received']['bits_per_second'] / 1e9:.1f} Gbit/s")
    return ", ".join(notes)


@test("iperf3 measures UDP in both directions, nothing lost at 10 Mbit/s")
def _():
    # Slow enough that a receiver which a busy machine does not run for 0.15 s loses nothing in its own queue.
    for direction, words in (("up", []), ("down", ["-R"])):
        total = iperf("-u", "-b", "10M", "-l", "1400", "-t", "2", *words)["sum"]
        expect(total["packets"] > 1000, direction, total)
        expect(total["lost_percent"] < 1, f"{direction}: {total['lost_percent']:.1f} % lost")
