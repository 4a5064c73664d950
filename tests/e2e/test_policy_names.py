"""Rules by name: what is let through, and what a flow's first bytes have to agree with.

    sandbox                                   world
    curl, hostile.py ── 198.18.1.0 ── nsrun ──► good.example.test  192.0.2.10  TLS, HTTP, greeters
                                        ✗       evil.example.test  192.0.2.10  the same server
                                        └─────► 192.0.2.53         name server, which remembers questions
"""
import contextlib
import os
import shutil
import socket
import sys

from support import sandbox
from support.attempts import attempt, records_in
from support.dns import NameServer
from support.guest import receive_stream, send_stream
from support.servers import Server, count_and_tell, datagram_echo, echo, web_server
from support.theme import expect, expect_equal, need, test, until
from support.tls import TlsServer, certificate, hello
from support.world import CLIENT4, SERVER4, SERVER6, SILENT4, write

IN_A_WORLD = True
GOOD, EVIL = "good.example.test", "evil.example.test"
TABLE = {(GOOD, "A"): [SERVER4], (EVIL, "A"): [SERVER4]}
ONLY_GOOD = ["--allow", GOOD]
NOT_EVIL = ["--deny", EVIL]
GO = """
package main
import ("crypto/tls"; "fmt"; "io"; "net/http"; "os")
func main() {
  client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
  answer, err := client.Get(os.Args[1])
  if err != nil { fmt.Println(err); os.Exit(1) }
  io.Copy(os.Stdout, answer.Body)
}
"""
JAVA = """
import java.io.*; import java.net.*; import java.security.cert.X509Certificate; import javax.net.ssl.*;
public class Fetch {
  public static void main(String[] words) throws Exception {
    var all = new X509TrustManager() {
      public void checkClientTrusted(X509Certificate[] c, String a) {}
      public void checkServerTrusted(X509Certificate[] c, String a) {}
      public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; } };
    var context = SSLContext.getInstance("TLS"); context.init(null, new TrustManager[] {all}, null);
    var connection = (HttpsURLConnection) new URL(words[0]).openConnection();
    connection.setSSLSocketFactory(context.getSocketFactory()); connection.setHostnameVerifier((h, s) -> true);
    connection.getInputStream().transferTo(System.out);
  }
}
"""
NODE = ("require('https').get(process.argv[1], {rejectUnauthorized: false},"
        " (answer) => answer.pipe(process.stdout)).on('error', (error) => { console.log(error); process.exit(1); })")
RESET = {"ECONNRESET", "", "TLS"}  # how it looks to who sent a hello: an error, or the end


def of(flows, port):
    """The one flow to a port."""
    found = [flow for flow in flows if flow["peer"].endswith(f":{port}")]
    expect_equal(len(found), 1, f"flows to port {port} of {flows}")
    return found[0]


@test("TLS to an allowed name works, and the record has the name and the address that was dialled")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server:
        for name in (GOOD, GOOD.upper(), f"{GOOD}."):
            seen, flows = attempt("tls_talk", name, server.port, GOOD, options=ONLY_GOOD)
            expect_equal(seen, "word", name)
            flow = of(flows, server.port)
            expect_equal((flow["name"], flow["dialled"], flow["rule"], flow["verdict"]),
                         (GOOD, f"tcp/{SERVER4}:{server.port}", f"allow {GOOD}", "allow"))


@test("another server name on an allowed name's address is reset, and the record says which")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server:
        for accelerated in ([], ["--accelerate"]):
            expect_equal(attempt("tls_talk", GOOD, server.port, EVIL)[0], "word", "without a rule")
            before = len(server.names)
            seen, flows = attempt("tls_talk", GOOD, server.port, EVIL, options=ONLY_GOOD + accelerated)
            expect(seen in RESET, seen)
            flow = of(flows, server.port)
            expect_equal((flow["verdict"], flow["end"], flow["bytes_up"]), ("reject", "refused", 0))
            expect(f"names {EVIL}" in flow["error"], flow["error"])
            expect_equal(server.names[before:], [], "names that came to the server")


@test("no server name, and ECH, are reset")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server:
        seen, flows = attempt("tls_talk", GOOD, server.port, None, options=ONLY_GOOD)
        expect(seen in RESET, seen)
        expect("names no server" in of(flows, server.port)["error"], flows)
        with_ech = [hello(GOOD, ech=True).hex()]
        expect(attempt("say", GOOD, server.port, with_ech)[0].startswith("16"), "not understood by the server")
        seen, flows = attempt("say", GOOD, server.port, with_ech, options=ONLY_GOOD)
        expect(seen in RESET, seen)
        expect("ECH" in of(flows, server.port)["error"], flows)


@test("a ClientHello in many segments and records is read as one")
def _():
    def pieces(name, record_size, size):
        text = hello(name, record_size=record_size).hex()
        return [text[i:i + 2 * size] for i in range(0, len(text), 2 * size)]

    with NameServer(TABLE), TlsServer(SERVER4) as server:
        for record_size, size in ((None, 1), (None, 7), (1, 100000), (3, 5), (100, 64)):
            good = pieces(GOOD, record_size, size)
            expect(attempt("say", GOOD, server.port, good, options=ONLY_GOOD)[0].startswith("16"),
                   "no answer", record_size, size)
            seen, flows = attempt("say", GOOD, server.port, pieces(EVIL, record_size, size), options=ONLY_GOOD)
            expect(seen in RESET, record_size, size, seen)
            expect(EVIL in of(flows, server.port)["error"], flows)


@test("a ClientHello over 16 KiB is reset, a large one below is not")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server:
        large, larger = hello(GOOD, padding=14_000), hello(GOOD, padding=17_000)
        seen, _ = attempt("say", GOOD, server.port, [large.hex()], options=ONLY_GOOD)
        expect(seen.startswith("16"), "no answer")
        expect(attempt("say", GOOD, server.port, [larger.hex()])[0].startswith("16"), "too much for the server")
        seen, flows = attempt("say", GOOD, server.port, [larger.hex()], options=ONLY_GOOD)
        expect(seen in RESET, seen)
        expect("too long" in of(flows, server.port)["error"], flows)


@test("a hello that the server asks for once more may be repeated, and not for another name")
def _():
    with NameServer(TABLE), TlsServer(SERVER4, curve="secp384r1") as server:
        expect_equal(attempt("tls_talk", GOOD, server.port, GOOD, options=ONLY_GOOD)[0], "word")
        attempt("second_hello_elsewhere", GOOD, server.port, GOOD, EVIL)
        expect(EVIL in server.names, "without a rule the server is not fooled", server.names)
        server.names.clear()
        _, flows = attempt("second_hello_elsewhere", GOOD, server.port, GOOD, EVIL, options=ONLY_GOOD)
        expect(EVIL not in server.names, server.names)
        expect(EVIL in of(flows, server.port)["error"], flows)


@test("records in front of a ClientHello, and its SSLv2 form, are reset")
def _():
    alert = bytes.fromhex("15030300020100")
    with NameServer(TABLE), Server(echo) as server:
        for text in (alert + hello(EVIL), bytes.fromhex("802e01030100150000001000002f")):
            expect_equal(attempt("say", GOOD, server.port, [text.hex()])[0], text.hex(), "without a rule")
            seen, _ = attempt("say", GOOD, server.port, [text.hex()], options=ONLY_GOOD)
            expect(seen in RESET, seen)


@test("a server that speaks first does not wait, nor does who says nothing at all")
def _():
    def greet(connection):
        connection.sendall(b"220 hello")
        connection.sendall(connection.recv(100))

    def leave(connection):
        connection.sendall(b"bye")

    with NameServer(TABLE), Server(greet) as server:
        for options in (ONLY_GOOD, ["--allow", f"{GOOD}:{server.port}"], NOT_EVIL):
            expect_equal(attempt("greeting_then_echo", GOOD, server.port, options=options)[0],
                         ["220 hello", "word"], options)
    with NameServer(TABLE), Server(leave) as server:
        expect_equal(bytes.fromhex(attempt("say", GOOD, server.port, [], options=ONLY_GOOD)[0]), b"bye")
    with NameServer(TABLE), Server(receive_stream) as server:
        expect_equal(attempt("say", GOOD, server.port, [], True, options=ONLY_GOOD)[0], "")
        expect_equal(server.result()[0], 0)


@test("streams of an inspected flow are whole, both ways, with their half-closes")
def _():
    size = 20_000_000
    with NameServer(TABLE), Server(count_and_tell) as server:
        sent, seen = sandbox.inside("upload", GOOD, server.port, size, options=ONLY_GOOD)
        expect_equal(seen, f"{size} {sent}")
    with NameServer(TABLE), Server(lambda connection: send_stream(connection, size)) as server:
        seen = sandbox.inside("download", GOOD, server.port, options=ONLY_GOOD)
        expect_equal(seen, [size, server.result()])

    def both_ways(connection):
        with connection.makefile("rb"):
            sent = send_stream(connection, size)
            return sent, receive_stream(connection)

    with NameServer(TABLE), Server(both_ways) as server:
        seen = sandbox.inside("both_ways", GOOD, server.port, size, options=ONLY_GOOD)
        sent, received = server.result()
        expect_equal(seen, [received[1], [size, sent]])


@test("a server that ends before the guest has spoken still gets what the guest says")
def _():
    def end_then_listen(connection):
        connection.shutdown(socket.SHUT_WR)
        return receive_stream(connection)[0]

    with NameServer(TABLE), Server(end_then_listen) as server:
        for size in (10, 300_000) * 5:
            for options in (ONLY_GOOD, NOT_EVIL):
                done = sandbox.nsrun("--log", "-", *options, "--",
                                     *sandbox.guest_command("receive_then_send", GOOD, server.port, size))
                expect_equal(server.result(), size, options)
                expect_equal(of(records_in(done.stderr), server.port)["end"], "closed")


@test("a reset on either side of an inspected flow is a reset on the other")
def _():
    def read(connection):
        connection.sendall(connection.recv(1))
        return receive_stream(connection)

    def reset(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with NameServer(TABLE), Server(read) as server:
        sandbox.inside("reset_after_a_byte", GOOD, server.port, options=ONLY_GOOD)
        expect_equal(server.result(), "ECONNRESET")
    with NameServer(TABLE), Server(reset) as server:
        expect_equal(sandbox.inside("read_until_error", GOOD, server.port, options=ONLY_GOOD), "ECONNRESET")


@test("where a name is denied, its TLS is reset on every address, and others pass")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server:
        for host in (SERVER4, GOOD):
            for accelerated in ([], ["--accelerate"]):
                options = NOT_EVIL + accelerated
                expect_equal(attempt("tls_talk", host, server.port, GOOD, options=options)[0], "word", host)
                seen, flows = attempt("tls_talk", host, server.port, EVIL, options=options)
                expect(seen in RESET, host, seen)
                expect(EVIL in of(flows, server.port)["error"], flows)


@test("a rule that says tls lets nothing else through")
def _():
    with NameServer(TABLE), TlsServer(SERVER4) as server, Server(echo) as other:
        options = ["--allow", f"tls/{GOOD}"]
        expect_equal(attempt("tls_talk", GOOD, server.port, GOOD, options=options)[0], "word")
        seen, flows = attempt("say", GOOD, other.port, [b"word".hex()], options=options)
        expect(seen in RESET, seen)
        expect("not TLS" in of(flows, other.port)["error"], flows)


@test("a rule that says http has each request be for its host")
def _():
    def requests(*hosts):
        return b"".join(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for host in hosts).hex()

    need("curl")
    with NameServer(TABLE), web_server(".") as port, Server(echo) as server:
        options = ["--allow", f"http/{GOOD}"]
        sandbox.run("curl", "-sSf4", "-o", "/dev/null", "-o", "/dev/null", f"http://{GOOD}:{port}/",
                    f"http://{GOOD}:{port}/", options=options)
        expect_equal(attempt("say", GOOD, server.port, [requests(GOOD)], options=options)[0], requests(GOOD))
        connect = b"CONNECT x:1 HTTP/1.1\r\n\r\n".hex()
        for text in (requests(EVIL), requests(GOOD, EVIL), connect, hello(GOOD).hex()):
            seen, flows = attempt("say", GOOD, server.port, [text], options=options)
            expect(seen in RESET, text, seen)
            flow = of(flows, server.port)
            expect_equal((flow["verdict"], flow["bytes_up"]), ("reject", 0))
        # One after the other on one connection: the first is answered.
        seen, flows = attempt("say", GOOD, server.port, [requests(GOOD), requests(EVIL)], options=options)
        expect(EVIL.encode().hex() not in seen, seen)


@test("QUIC to a name is refused, so that clients fall back to TCP")
def _():
    with NameServer(TABLE), datagram_echo() as port:
        expect_equal(sandbox.inside("datagram_error", GOOD, 443, True, options=ONLY_GOOD), "EHOSTUNREACH")
        expect_equal(sandbox.inside("echo_datagrams", GOOD, port, [100], options=ONLY_GOOD), [True])


@test("a question about a name that is not allowed is on record once, with its rule")
def _():
    with NameServer(TABLE) as names:
        seen, flows = attempt("connect_all", [EVIL], 80, options=ONLY_GOOD)
        expect_equal(names.asked, [], "asked outside")
    expect_equal(seen, ["no such name"])
    refused = [flow for flow in flows if flow["name"] == EVIL]
    expect_equal([(flow["verdict"], flow["end"], flow["rule"], flow["peer"]) for flow in refused],
                 [("reject", "refused", "default", "10.0.2.3:53")])


@test("names with search domains are found, and reverse lookups answered")
def _():
    need("dig")
    with NameServer(TABLE), Server(echo) as server:
        search = ("cp /etc/resolv.conf r; echo search example.test >>r; "
                  "mount --bind r /etc/resolv.conf; exec \"$@\"")
        done = sandbox.nsrun(*ONLY_GOOD, "--map-root", "--", "sh", "-c", search, "sh",
                             *sandbox.guest_command("echoed", "good", server.port, "hello"))
        expect_equal(done.stdout.strip(), '"hello"', done.stderr)
        script = f"address=$(dig +short {GOOD} A); dig +short -x $address; dig +short -x {SERVER4}"
        expect_equal(sandbox.run("sh", "-c", script, options=ONLY_GOOD).split(), [f"{GOOD}."])


@test("an allowed name's address that swallows everything does not hold up its other one")
def _():
    table = {(GOOD, "A"): [SILENT4], (GOOD, "AAAA"): [SERVER6]}
    with NameServer(table), Server(echo, SERVER6) as server:
        seen, seconds = sandbox.inside("connect_error", GOOD, server.port, options=["--no-ipv6", *ONLY_GOOD])
    expect_equal(seen, None)
    expect(seconds < 4, f"after {seconds:.2f} s")
    return f"{seconds:.2f} s"


@test("an address that no rule names is reached by no other way than its name")
def _():
    with NameServer(TABLE), Server(echo) as server, Server(echo, SERVER6, server.port), \
            Server(echo, CLIENT4, server.port):
        seen, flows = attempt("connect_all", [GOOD, SERVER4, SERVER6, CLIENT4], server.port, options=ONLY_GOOD)
    expect_equal(seen, [None] + ["ECONNREFUSED"] * 3)
    verdicts = sorted(flow["verdict"] for flow in flows if flow["protocol"] == "tcp")
    expect_equal(verdicts, ["allow"] + ["reject"] * 3)


@test("TLS of other libraries than OpenSSL agrees: GnuTLS, Go, Java, node")
def _():
    with open("page", "w") as page:
        page.write("a page\n")
    with open("fetch.go", "w") as source:
        source.write(GO)
    with open("Fetch.java", "w") as source:
        source.write(JAVA)
    seen = {}
    with NameServer(TABLE), web_server(".", certificate=certificate()[0], key=certificate()[1]) as port:
        url = f"https://{GOOD}:{port}/page"
        for words in (["curl", "-sSk4", url, url], ["wget", "-4qO-", "--no-check-certificate", url],
                      ["node", "-e", NODE, url], ["go", "run", "fetch.go", url], ["java", "Fetch.java", url]):
            if shutil.which(words[0]):
                environment = {**os.environ, "GOCACHE": os.path.abspath("go"), "GO111MODULE": "off"}
                done = sandbox.nsrun(*ONLY_GOOD, "--log", "-", "--", *words, env=environment, timeout=80)
                seen[words[0]] = done.stdout.replace("a page\n", "") == "" and "a page" in done.stdout
                expect(seen[words[0]], words[0], done.stdout[-300:], done.stderr[-600:])
    return ", ".join(seen)


# Opens so many connections, tells of the first and the last, and leaves each with half a request.
HALF_REQUESTS = """
import socket, sys
kept = []
for number in range(int(sys.argv[3])):
    kept.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10))
    kept[-1].sendall(b"GET / HT")
    if number in (0, int(sys.argv[3]) - 1):
        print("open", flush=True)
        sys.stdin.readline()
"""


@test("300 connections under http that say little cost little memory")
def _():
    def listen(connection):
        while connection.recv(100):
            pass

    with Server(listen) as server, \
            sandbox.start(sys.executable, "-c", HALF_REQUESTS, SERVER4, str(server.port), "300",
                          options=["--allow", f"http/{SERVER4}"]) as running:
        running.wait_for("open\n")
        before = running.memory()
        running.say("")
        running.wait_for("open\n")
        grown = (running.memory() - before) / 300
    expect(grown < 40960, f"{grown:.0f} bytes for each")
    return f"{grown:.0f} bytes for each"


@contextlib.contextmanager
def hosts_file(*lines):
    """What to run nsrun under so that it finds these lines in /etc/hosts: a folder here becomes its /etc."""
    os.mkdir("etc")
    try:
        for name in ("passwd", "group", "resolv.conf", "ld.so.cache"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", "etc")
        write("etc/nsswitch.conf", "hosts: files dns\n")
        write("etc/hosts", "\n".join(["127.0.0.1 localhost", *lines, ""]))
        yield ["unshare", "--mount", "sh", "-c", "mount --bind etc /etc && exec \"$@\"", "sh"]
    finally:
        shutil.rmtree("etc")


def greeting(shell, name, port):
    """What a server says whose name a shell resolves as programs do; empty when it is not reached."""
    need("bash")
    return shell.ask(f"bash -c 'head -c 4 < /dev/tcp/{name}/{port}' 2>/dev/null")


def greet(connection):
    connection.sendall(b"word")
    while connection.recv(1024):
        pass


@test("names that only /etc/hosts knows are reached under rules by name, and the others stay in the file inside")
def _():
    with NameServer({}), Server(greet) as server, Server(greet, "127.0.0.1") as local, \
            hosts_file(f"{SERVER4} box box.hosts.test", f"{SERVER4} other.hosts.test", "127.0.0.1 app.local") as prefix:
        rules = ["--allow", "box", "--allow", f"*.hosts.test:{server.port}", "--allow", f"app.local:{local.port}"]
        for more in ([], ["--map-root"], ["--default", "allow"]):
            with sandbox.start_shell(prefix=prefix, options=[*rules, *more]) as shell:
                for name in ("box", "box.hosts.test", "other.hosts.test"):
                    expect_equal(greeting(shell, name, server.port), "word", f"{name} {more}")
                expect_equal(greeting(shell, "app.local", local.port), "word", f"app.local {more}")
                expect_equal(greeting(shell, "app.local", server.port), "", f"another port of it {more}")
                expect_equal(greeting(shell, "localhost", local.port), "", f"localhost {more}")
                expect_equal(shell.ask("cat /etc/hosts"), "127.0.0.1 localhost")
        with sandbox.start_shell(prefix=prefix, options=["--allow", SERVER4]) as shell:
            expect_equal(greeting(shell, "box", server.port), "word", "under a rule by address")
            expect("box.hosts.test" in shell.ask("cat /etc/hosts"))


@test("busybox wget reaches a name that only /etc/hosts knows")
def _():
    need("busybox")
    with NameServer({}), web_server(os.getcwd()) as port, hosts_file(f"{SERVER4} box.hosts.test") as prefix:
        write("word", "word")
        seen = sandbox.run("busybox", "wget", "-q", "-O", "-", f"http://box.hosts.test:{port}/word", prefix=prefix,
                           options=["--allow", f"box.hosts.test:{port}"])
    expect_equal(seen, "word")


@test("the sandbox's hosts file stays when the host's is replaced")
def _():
    with Server(greet) as server, hosts_file(f"{SERVER4} box.hosts.test") as prefix:
        with sandbox.start_shell(prefix=prefix, options=["--allow", "box.hosts.test"]) as shell:
            expect_equal(greeting(shell, "box.hosts.test", server.port), "word")
            write("etc/new", f"{SERVER4} box.hosts.test new.hosts.test\n")
            os.rename("etc/new", "etc/hosts")
            until(lambda: shell.ask("cat /etc/hosts") == "127.0.0.1 localhost", what="covered again")
            expect_equal(greeting(shell, "box.hosts.test", server.port), "word")
