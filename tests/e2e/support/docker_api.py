"""A Docker API that does as the test says, on a unix socket; its containers are entries of a table."""
import contextlib
import json
import os
import socket
import socketserver
import threading
import urllib.parse

GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{\"Id\":1}"


class Container:
    """`on_start`, `on_stop` are called when it is. `health`: None, or Docker's word. `exposed`: "81/tcp" …"""

    def __init__(self, labels, on_start=None, on_stop=None, health=None, name="box", exposed=()):
        self.labels, self.health, self.name, self.exposed = labels, health, name, exposed
        self.on_start, self.on_stop = on_start, on_stop
        self.state = "exited"

    def inspection(self):
        state = {"Status": self.state, "Running": self.state in ("running", "paused"),
                 "Paused": self.state == "paused", "Restarting": self.state == "restarting"}
        if self.health:
            state["Health"] = {"Status": self.health}
        return {"State": state, "Name": "/" + self.name, "HostConfig": {"NetworkMode": "default"},
                "Config": {"Labels": self.labels, "ExposedPorts": {port: {} for port in self.exposed}}}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    api = None


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        if not line:
            return
        verb, target, _ = line.split()
        path, _, query = target.partition("?")
        with contextlib.suppress(OSError):
            self.server.api.serve(self, verb, path, urllib.parse.parse_qs(query))

    def answer(self, status, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.wfile.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)

    def chunk(self, text):
        self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        self.wfile.flush()


class DockerApi:
    """`faults`: by "VERB last-word" or "VERB word" of the path, what is answered in place: a status, "cut",
    "garbage". `asked`: the requests so far."""

    def __init__(self, path):
        self.path, self.containers, self.faults, self.asked = path, {}, {}, []
        self.has_events = True
        self._changed = threading.Condition()
        self._events = []
        self._server = None

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._server = _Server(self.path, _Handler)
        self._server.api = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        with self._changed:
            self._events.append(None)  # streams end
            self._changed.notify_all()

    def count(self, verb, word):
        return sum(1 for each in self.asked if each.startswith(verb) and each.endswith(word))

    def tell(self, container, what):
        """An event, as Docker has them."""
        with self._changed:
            self._events.append({"Type": "container", "Action": what, "Actor": {"Attributes": container.labels}})
            self._changed.notify_all()

    def serve(self, handler, verb, path, query):
        self.asked.append(f"{verb} {path}")
        word = path.rsplit("/", 1)[1]
        fault = self.faults.get(f"{verb} {word}")
        if path == "/containers/json":
            fault = self.faults.get("GET list")
        if fault == "cut":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{")
            return
        if fault == "claim":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
            return self._changed_or_over()
        if fault == "garbage":
            handler.wfile.write(GARBAGE)
            return
        if fault:
            return handler.answer(fault, {"message": f"fault {fault}"})
        if path == "/events":
            return self._stream(handler)
        if path == "/containers/json":
            return handler.answer(200, self._list(json.loads(query["filters"][0])["label"]))
        identity = path.split("/")[2]
        if identity not in self.containers:
            return handler.answer(404, {"message": f"No such container: {identity}"})
        container = self.containers[identity]
        if verb == "GET":
            return handler.answer(200, container.inspection())
        return handler.answer(self._change(container, word))

    def _list(self, labels):
        wanted = dict(label.split("=", 1) for label in labels)
        return [{"Id": identity} for identity, container in self.containers.items()
                if wanted.items() <= container.labels.items()]

    def _change(self, container, word):
        state = {"start": "running", "unpause": "running", "stop": "exited", "pause": "paused"}[word]
        if container.state == state:
            return 304
        if word == "start" and container.on_start:
            container.on_start()
        if word == "stop" and container.on_stop:
            container.on_stop()
        container.state = state
        self.tell(container, word)
        return 204

    def _changed_or_over(self):
        with self._changed:
            self._changed.wait()

    def _stream(self, handler):
        if not self.has_events:
            return handler.answer(500, {"message": "no events here"})
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.wfile.flush()
        seen = len(self._events)
        while True:
            with self._changed:
                while len(self._events) <= seen:
                    self._changed.wait()
                event = self._events[seen]
            seen += 1
            if event is None:
                return
            handler.chunk(json.dumps(event).encode() + b"\n")


def listener(port):
    """A server that says "awake" to everybody, while it lasts: [begin, end]"""
    held = []

    def begin():
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(1024)
        held.append(server)
        threading.Thread(target=serve, args=(server,), daemon=True).start()

    def serve(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"awake")

    def end():
        server = held.pop()
        server.shutdown(socket.SHUT_RDWR)
        server.close()

    return begin, end
