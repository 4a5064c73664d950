"""nsrun's commands that serve without a sandbox: forward, vsock, wake."""
import os
import select
import socket
import subprocess

from support import sandbox
from support.theme import need, until


class Service(sandbox.Running):
    """`nsrun WORD…` from the time it takes clients (or until it has ended)."""

    def __init__(self, *words, wait=True, **settings):
        ours, theirs = os.pipe()
        try:
            super().__init__(words[0], "--ready-fd", str(theirs), *words[1:], pass_fds=(theirs,), **settings)
            os.close(theirs)
            self.said = self._hear(ours) if wait else None
        finally:
            os.close(ours)

    def _hear(self, descriptor):
        try:
            if not select.select([descriptor], [], [], 20)[0]:
                raise AssertionError("it was not ready within 20 s: " + self.warnings())
            return os.read(descriptor, 100)
        except BaseException:
            self.__exit__()
            raise

    def ended(self, seconds=20):
        """[the status, the standard error]"""
        status = self.status(seconds)
        return [status, self.process.stderr.read().decode(errors="replace")]


class Log:
    """What a service has said so far."""

    def __init__(self, running):
        self.running, self.text = running, ""

    def read(self):
        self.text += self.running.warnings()
        return self.text

    def until(self, words, seconds=20):
        until(lambda: words in self.read(), seconds, f"{words!r} in {self.text!r}")


def forward(*words, **settings):
    return Service("forward", *words, **settings)


def failing(*words):
    """The status and the one line of an nsrun that cannot serve."""
    done = sandbox.nsrun(*words)
    if done.stderr.count("\n") != 1:
        raise AssertionError(f"{' '.join(words)}: {done.stderr!r}")
    return done.returncode, done.stderr


def free_port():
    """One that nobody listens at just now, and no other caller gets soon."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return finder.getsockname()[1]


def broken_off(port):
    """Whether a connection to the port is reset, at the latest when it is read."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"x")
            return client.recv(1) is None
    except (ConnectionResetError, BrokenPipeError):
        return True


def unix_connect(path, seconds=10):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    connection.connect(path)
    return connection


def authority(name):
    """NAME.pem and NAME.key in the current directory, which vouch for themselves, and for those issued."""
    # Python 3.13 accepts no authority without keyUsage (ssl.VERIFY_X509_STRICT).
    need("openssl")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
             "-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def issue(authority_name, name, host):
    """NAME.pem and NAME.key, of the host, which the authority vouches for."""
    with open(f"{name}.ext", "w") as file:
        file.write(f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
             "-subj", f"/CN={host}")
    _openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority_name}.pem", "-CAkey",
             f"{authority_name}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out",
             f"{name}.pem")


def tls_files():
    """ca.pem, which vouches for server.pem (server.example.test) and client.pem; each with its .key."""
    if not os.path.exists("client.pem"):
        authority("ca")
        issue("ca", "server", "server.example.test")
        issue("ca", "client", "client.example.test")


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)
