#!/usr/bin/env python3
"""tests/world/server.py CERTIFICATE KEY: servers on loopback, for what a world records.

Prints "HTTP HTTPS GREETER UDP", their ports, and serves until its standard input ends.

  http, https   GET /N: "answer N, the K-th"; POST: what was posted, in chunks
  greeter       speaks first, then answers each line in upper case
  udp           each datagram back, in upper case
"""

import http.server
import socketserver
import ssl
import sys
import threading


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0

    def do_GET(self):
        Answer.count += 1
        body = f"answer {self.path[1:]}, the {Answer.count}-th\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        posted = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(posted), 10_000):
            piece = posted[at : at + 10_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Greet(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 speak\n")
        for line in self.rfile:
            self.wfile.write(line.upper())


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        socket.sendto(data.upper(), self.client_address)


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    place = ("127.0.0.1", 0)
    plain = http.server.ThreadingHTTPServer(place, Answer)
    secured = http.server.ThreadingHTTPServer(place, Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    secured.socket = context.wrap_socket(secured.socket, server_side=True)
    greeter = socketserver.ThreadingTCPServer(place, Greet)
    greeter.daemon_threads = True
    udp = socketserver.ThreadingUDPServer(place, Echo)
    print(*(serve(server) for server in (plain, secured, greeter, udp)), flush=True)
    sys.stdin.read()


main()
