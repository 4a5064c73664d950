"""Real programs with --accelerate: all that test_tcp and test_programs run without it, and more.

    sandbox                                       world, 192.0.2.10
    curl, git, ssh, redis-cli, iperf3,            their servers
    python asyncio, node, java, go,  ── nsrun ──► echo servers, http
    nginx as a client (proxy_pass)
"""
import json
import os
import subprocess
import sys

from support import sandbox
from support.servers import Server, echo, web_server
from support.theme import Skip, expect, expect_equal, need, test
from support.world import SERVER4

sandbox.OPTIONS += ["--accelerate"]
import test_programs  # noqa: E402  their tests are tests of this theme, too
import test_tcp  # noqa: E402, F401

IN_A_WORLD = True

ASYNCIO = """
import asyncio, sys
async def one(number):
    reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    writer.write(b"%d\\n" % number); await writer.drain()
    seen = await reader.readline()
    writer.close(); await writer.wait_closed()
    return seen == b"%d\\n" % number
async def all(): return sum(await asyncio.gather(*(one(n) for n in range(200))))
print(asyncio.run(all()))
"""

NODE = """
const net = require('net'); const [host, port] = process.argv.slice(2); let seen = 0;
for (let n = 0; n < 200; ++n) {
  const socket = net.connect({host, port: Number(port)}, () => socket.write(`${n}`));
  socket.on('data', (data) => { seen += String(data) === `${n}`; socket.end(); });
  socket.on('close', () => { if (++closed === 200) console.log(seen); });
}
let closed = 0;
"""

JAVA = """
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*;
public class Client {
  public static void main(String[] words) throws Exception {
    var target = new InetSocketAddress(words[0], Integer.parseInt(words[1])); int seen = 0;
    for (int n = 0; n < 20; ++n) try (var socket = new Socket()) {
      socket.connect(target, 5000); socket.getOutputStream().write(n); seen += socket.getInputStream().read() == n ? 1 : 0;
    }
    var selector = Selector.open();
    for (int n = 0; n < 20; ++n) try (var channel = SocketChannel.open()) {
      channel.configureBlocking(false); boolean done = channel.connect(target);
      channel.register(selector, SelectionKey.OP_CONNECT, null);
      while (!done) { selector.select(); done = channel.finishConnect(); }
      var byte1 = ByteBuffer.wrap(new byte[] {(byte) n}); channel.write(byte1); byte1.clear();
      while (channel.read(byte1) == 0) Thread.onSpinWait();
      seen += byte1.get(0) == n ? 1 : 0;
    }
    System.out.println(seen);
  }
}
"""

GO = """
package main
import ("fmt"; "net"; "os"; "sync"; "sync/atomic")
func main() {
	var all sync.WaitGroup; var seen atomic.Int32
	for n := 0; n < 200; n++ { all.Add(1); go func(n int) {
		defer all.Done()
		c, err := net.Dial("tcp", os.Args[1]); if err != nil { fmt.Fprintln(os.Stderr, err); return }
		defer c.Close(); word := fmt.Sprint(n); c.Write([]byte(word)); b := make([]byte, 100); k, _ := c.Read(b)
		if string(b[:k]) == word { seen.Add(1) }
	}(n) }
	all.Wait(); fmt.Println(seen.Load())
}
"""


def write(name, text):
    with open(name, "w") as file:
        file.write(text)
    return name


def run_with_ends(*words):
    """What a program prints, and how many of its flows were injected"""
    done = sandbox.nsrun("--log", "-", "--", *words)
    ends = [json.loads(line)["end"] for line in done.stderr.splitlines() if line.startswith("{")]
    expect_equal(done.returncode, 0, done.stderr[-300:] or "status")
    return done.stdout.strip(), f"{ends.count('injected')} of {len(ends)} injected"


@test("python's asyncio opens 200 connections at once")
def _():
    with Server(echo) as server:
        seen, note = run_with_ends(sys.executable, write("a.py", ASYNCIO), SERVER4, str(server.port))
        expect_equal(seen, "200")
        return note


@test("node opens 200 connections at once")
def _():
    need("node")
    with Server(echo) as server:
        seen, note = run_with_ends("node", write("a.js", NODE), SERVER4, str(server.port))
        expect_equal(seen, "200")
        return note


@test("java connects with and without blocking, its IPv6 sockets to IPv4")
def _():
    need("javac", "java")
    subprocess.run(["javac", write("Client.java", JAVA)], check=True)
    with Server(echo) as server:
        seen, note = run_with_ends("java", "-cp", ".", "Client", SERVER4, str(server.port))
        expect_equal(seen, "40")
        four, note4 = run_with_ends("java", "-Djava.net.preferIPv4Stack=true", "-cp", ".", "Client", SERVER4,
                                    str(server.port))
        expect_equal(four, "40")
        return f"{note}; with IPv4 sockets {note4}"


@test("go opens 200 connections at once")
def _():
    need("go")
    environment = {**os.environ, "GOCACHE": os.path.abspath("go-cache"), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", "client", write("client.go", GO)], check=True, env=environment)
    with Server(echo) as server:
        seen, note = run_with_ends("./client", f"{SERVER4}:{server.port}")
        expect_equal(seen, "200")
        return note


NGINX = """
daemon off; worker_processes 2; pid nginx.pid; error_log stderr; master_process on;
events { worker_connections 256; }
http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;
  scgi_temp_path s;
  server { listen 127.0.0.1:8080; location / { proxy_pass http://%s:%d; } } }
"""


@test("nginx passes requests on to a server of the world, and curl asks it inside")
def _():
    need("curl")
    if not os.path.exists("/usr/sbin/nginx"):
        raise Skip("there is no nginx here")
    with test_programs.files() as site, web_server(site) as port:
        write("nginx.conf", NGINX % (SERVER4, port))
        script = ("/usr/sbin/nginx -p . -c nginx.conf 2>nginx.log & "
                  "for n in $(seq 20); do curl -sS --retry 20 --retry-connrefused --retry-delay 0 "
                  "http://127.0.0.1:8080/; done; kill $!; wait")
        expect_equal(sandbox.run("sh", "-c", script), "a page\n" * 20)
